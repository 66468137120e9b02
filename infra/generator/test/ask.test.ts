import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { pollUntil } from '@repo/testing/poll-until'
import { expect, test, vi } from 'vitest'

// Every process is really started, and compiled first. On a busy machine that takes long.
vi.setConfig({ testTimeout: 120_000 })

const MAIN = resolve(import.meta.dirname, '../new.ts')
const [ENTER, UP, DOWN, SPACE, CTRL_C] = ['\r', '\x1b[A', '\x1b[B', ' ', '\x03']

interface Form extends AsyncDisposable {
  said(): string
  /** Waits for these words, then presses the keys. */
  when(words: string, ...keys: string[]): Promise<void>
  ended: Promise<number | null>
}

/** `pnpm new` on a terminal of its own, with as few environment variables as possible. */
function openForm(...args: string[]): Form {
  // A terminal without a size has one letter per line.
  const command = ['stty columns 100 rows 40; exec', process.execPath, MAIN, ...args].join(' ')
  const terminal = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { HOME: process.env.HOME, PATH: process.env.PATH, SHELL: '/bin/sh' },
  })
  let said = ''
  let from = 0
  for (const stream of [terminal.stdout, terminal.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += stripVTControlCharacters(text)))
  return {
    said: () => said,
    async when(words, ...keys) {
      const isSaid = (): boolean => said.includes(words, from)
      await pollUntil(`it says ${words}`, isSaid, { deadlineMs: 60_000 }).catch((cause) => {
        throw new Error(`${(cause as Error).message}. It said:\n${said}`, { cause })
      })
      from = said.length
      for (const key of keys) terminal.stdin.write(key)
    },
    ended: once(terminal, 'close').then(([code]) => code as number | null),
    async [Symbol.asyncDispose]() {
      terminal.kill()
      await this.ended
    },
  }
}

// On other systems `script` has other options.
const testOnLinux = test.skipIf(process.platform !== 'linux')

testOnLinux('the form asks for name, kind and needs, and says at once why a name cannot be had', async () => {
  await using form = openForm('--dry-run')
  await form.when('What is it called?', 'accounts', ENTER)
  await form.when(
    'It is taken: the route of apps/accounts. What about accounts2?',
    '\x7f'.repeat(8),
    'late-orders',
    ENTER,
  )
  await form.when('What does it do?', DOWN, UP, ENTER)
  await form.when('What does it need?', SPACE, DOWN, SPACE, ENTER)
  expect(await form.ended).toBe(0)
  const said = form.said()
  for (const file of ['src/server.ts', 'schema.prisma', 'src/routes/items.ts', 'test/signed-in.ts'])
    expect(said).toContain(`+++ ${join('b/apps/late-orders', file)}`)
  expect(said).toMatch(/^\+ {2}apps\/late-orders:$/m)
})

testOnLinux('Ctrl-C leaves the form, and nothing has happened', async () => {
  await using form = openForm('--force', 'late-orders')
  await form.when('What does it do?', CTRL_C)
  expect(await form.ended).toBe(130)
  expect(form.said()).toContain('Nothing was changed.')
})
