import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isListening } from '@repo/testing/is-listening'
import { openFreshClone } from '../fresh-clone.ts'
import { partsOfApps } from '../parts-of-apps.ts'

/** What an app's own quick start must have printed. */
interface QuickStart {
  checkQuickStart(output: string, report: (isTrue: boolean, what: string, otherwise?: string) => void): void
}

/**
 * The README as its first reader meets it: a clone in an empty folder, `npx pnpm dev`, and its quick start, word for
 * word. Prints what it saw; the last line counts. Uses what is committed, not what is being edited.
 */
const run = promisify(execFile)
const results: boolean[] = []
await tryIt()
const passed = results.filter(Boolean).length
console.log(`${passed} passed, ${results.length - passed} failed`)
process.exit(passed === results.length ? 0 : 1)

async function tryIt(): Promise<void> {
  using clone = await openFreshClone()
  const { folder, port, env } = clone
  const startedAt = performance.now()
  const dev = spawn('npx', ['pnpm', 'dev'], {
    cwd: folder,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [dev.stdout, dev.stderr])
    stream.setEncoding('utf8').on('data', (text) => (said += text))

  const isReady = await waitFor(() => /^ready in [\d.]+ s/m.test(said) || dev.exitCode !== null, 300_000)
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  report(isReady && dev.exitCode === null, `npx pnpm dev is ready ${seconds} s after a clone`, said)
  if (!isReady) process.kill(-dev.pid!, 'SIGKILL')
  if (!isReady || dev.exitCode !== null) throw new Error('There is nothing to try')

  const { stdout } = await run('bash', ['-euc', await readQuickStart(folder, port)], {
    cwd: folder,
    maxBuffer: 2 ** 26,
  })
  checkQuickStart(stdout)
  for (const part of await partsOfApps<QuickStart>(import.meta.dirname, 'check-quick-start.ts'))
    part.checkQuickStart(stdout, report)

  const pids = [...said.matchAll(/\bpid (\d+)/g)].map((match) => Number(match[1]))
  process.kill(-dev.pid!, 'SIGINT')
  await Promise.race([once(dev, 'exit'), wait(15_000)])
  // npx itself does not catch the signal, so how it ends says nothing about us.
  report(dev.exitCode !== null || dev.signalCode !== null, 'Ctrl-C ends it', said.slice(-2_000))
  await waitFor(() => !pids.some(isAlive), 15_000)
  report(!said.includes('gave up'), 'every process ends in time', said.slice(-2_000))
  const left = pids.filter(isAlive)
  report(
    pids.length > 0 && left.length === 0,
    `none of its ${pids.length} processes is left (${left.join(', ')})`,
  )
  report(!(await isListening(`http://127.0.0.1:${port}`)), 'its port is free again')
}

function checkQuickStart(output: string): void {
  report(
    /"user":\{"id":"[\w-]+","email":"ada@example.com"\}/.test(output),
    'sign-up answers with the user',
    output,
  )
  report(/"sessions":\[\{"id":/.test(output), 'the person sees their session', output)
  const [, first, second] = [...output.matchAll(/^\[(accounts\.\d)\]$/gm)].map((match) => match[1])
  report(
    first != null && second != null && first !== second,
    `processes alternate (${first}, ${second})`,
    output,
  )
}

/** The README's block, as it stands, but for the port, which may be taken here. */
async function readQuickStart(folder: string, port: number): Promise<string> {
  const readme = await readFile(join(folder, 'README.md'), 'utf8')
  const [, block] = /<!-- quick-start[^>]*-->\s*```sh\n([\s\S]*?)```/.exec(readme) ?? []
  if (block == null) throw new Error('README.md has no quick start')
  return block.replaceAll('localhost:3000', `localhost:${port}`)
}

function report(isTrue: boolean, what: string, otherwise = ''): void {
  results.push(isTrue)
  console.log(`${isTrue ? 'ok    ' : 'FAILED'}  ${what}`)
  if (!isTrue && otherwise !== '') console.log(otherwise)
}

async function waitFor(isTrue: () => boolean, deadlineMs: number): Promise<boolean> {
  for (const start = performance.now(); performance.now() - start < deadlineMs; await wait(50)) {
    if (isTrue()) return true
  }
  return false
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
