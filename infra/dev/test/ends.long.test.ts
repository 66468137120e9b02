import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { copyRepository, everythingEnds, isAlive, runDev, type Copy, type Dev } from './run-dev.ts'

// Every process is really started, and compiled first. On a busy machine that takes long.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let copy: Copy
let dev: Dev

beforeAll(async () => {
  copy = await copyRepository()
  await writeFile(join(copy.root, 'npx.mjs'), LAUNCHER)
})

afterAll(() => copy[Symbol.asyncDispose]())

/** Starts another program, as `npx` does, and prints the pid of that program in the form of our table. */
const LAUNCHER = `
  import { spawn } from 'node:child_process'
  const [command, ...args] = process.argv.slice(2)
  const { pid } = spawn(command, args, { stdio: 'inherit' })
  console.log('supervisor process://itself pid ' + pid)
`

const asNpx = (command: string[]): string[] => [process.execPath, join(copy.root, 'npx.mjs'), ...command]

/**
 * Runs the command on a terminal of its own, whose input is the file `keys`. It is closed when `script` ends. `script`
 * starts /bin/sh, which every system has. The command replaces that shell (`exec`), so the shell does not handle Ctrl-C.
 */
const onTerminal = (command: string[]): string[] => [
  'sh',
  '-c',
  `{ [ -p keys ] || mkfifo keys; } && SHELL=/bin/sh exec script --quiet --return --command "exec $0" /dev/null <> keys`,
  command.join(' '),
]

async function startReady(by?: (command: string[]) => string[]): Promise<Dev> {
  const started = await runDev(copy, { args: ['accounts', '--each', '1'], ...(by && { by }) })
  await started.says(/^ready in/m, 60_000)
  expect(started.pids().length).toBeGreaterThan(3)
  expect(started.pids().every(isAlive)).toBe(true)
  return started
}

async function signUp(): Promise<number> {
  const { status } = await fetch(`${dev.url}/api/accounts/sign-up`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'ada@example.com', password: 'correct horse battery' }),
  })
  return status
}

test('Ctrl-C on a terminal ends everything, with exit code 0', async () => {
  dev = await startReady(onTerminal)
  const pids = dev.pids()
  await writeFile(join(copy.root, 'keys'), '\x03')
  expect(await dev.command.exited).toEqual({ code: 0, signal: null })
  expect(dev.said()).not.toContain('crashed')
  await everythingEnds(dev, pids)
})

test('a terminal that is closed ends everything', async () => {
  dev = await startReady(onTerminal)
  const pids = dev.pids()
  dev.command.kill('SIGKILL')
  await everythingEnds(dev, pids)
})

test('SIGTERM to the process group ends everything', async () => {
  dev = await startReady(asNpx)
  const pids = dev.pids()
  process.kill(-dev.command.pid, 'SIGTERM')
  await everythingEnds(dev, pids)
})

test('an npx that is killed ends everything', async () => {
  dev = await startReady(asNpx)
  const pids = dev.pids()
  dev.command.kill('SIGKILL')
  await everythingEnds(dev, pids)
})

test('kill -9 ends everything, and the next start has all data', async () => {
  dev = await startReady()
  const pids = dev.pids()
  expect(await signUp()).toBe(201)
  dev.command.kill('SIGKILL')
  await everythingEnds(dev, pids)

  dev = await startReady()
  expect(await signUp()).toBe(409)
})

test('a second pnpm dev in the same clone says who is there already', async () => {
  await using second = await runDev(copy)
  expect((await second.command.exited).code).toBe(1)
  expect(second.said()).toContain(`pnpm dev already runs in this clone: http://localhost:${dev.port} (pid`)
  const pids = dev.pids()
  await dev.command.stop()
  await everythingEnds(dev, pids)
})

test('a taken port is one clear sentence', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  await using refused = await runDev(copy, { env: { PORT: `${port}` } })
  expect((await refused.command.exited).code).toBe(1)
  taken.close()
  expect(refused.said()).toBe(
    `Port ${port} is taken by another program. Choose another one: PORT=${port + 1} npx pnpm dev\n`,
  )
})

test('a wrong variable is told once, by name, and nothing is left', async () => {
  await using refused = await runDev(copy, { args: ['accounts'], env: { SESSION_SECRETS: 'short' } })
  expect((await refused.command.exited).code).toBe(1)
  expect(refused.said().match(/SESSION_SECRETS/g)).toHaveLength(1)
  expect(refused.said()).toMatch(/^accounts\.1, accounts\.2: not started, because the environment is wrong/m)
  expect(refused.said()).not.toContain('short')
  await everythingEnds(refused, refused.pids())
})

test('an unknown process type or option is told with what there is', async () => {
  await using unknown = await runDev(copy, { args: ['acounts'] })
  expect((await unknown.command.exited).code).toBe(1)
  expect(unknown.said()).toMatch(/no process type acounts\. There are accounts, (.+, )?web/)
  await using odd = await runDev(copy, { args: ['--each', 'many'] })
  expect((await odd.command.exited).code).toBe(1)
  expect(odd.said()).toContain('--each many')
})
