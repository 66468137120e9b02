import { afterAll } from 'vitest'
import { pollUntil } from './poll-until.ts'

// Resources that keep a process alive and that a test must close. Timers are not among them, because they end by themselves.
const HELD = new Set(['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap', 'ProcessWrap', 'FSEventWrap', 'Worker'])

const heldBefore = listHeld().length

// Every test file runs this (`setupFiles` in vitest.config.ts). Hooks that are registered first run last.
afterAll(async () => {
  await pollUntil('closed', () => listHeld().length <= heldBefore, { deadlineMs: 3000 }).catch(() => {
    throw new Error(`This test file leaves open: ${listHeld().join(', ')}`)
  })
})

function listHeld(): string[] {
  return process.getActiveResourcesInfo().filter((name) => HELD.has(name))
}
