import { afterAll } from 'vitest'
import { pollUntil } from './poll-until.ts'

// Whatever of these keeps a process alive was opened by somebody who ought to have closed it. Timers are not among
// them: they end by themselves.
const HELD = new Set(['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap', 'ProcessWrap', 'FSEventWrap', 'Worker'])

const heldBefore = listHeld().length

// Every test file gets this (`setupFiles` in vitest.config.ts), and hooks that are registered first run last.
afterAll(async () => {
  await pollUntil('closed', () => listHeld().length <= heldBefore, { deadlineMs: 3000 }).catch(() => {
    throw new Error(`This test file leaves open: ${listHeld().join(', ')}`)
  })
})

function listHeld(): string[] {
  return process.getActiveResourcesInfo().filter((name) => HELD.has(name))
}
