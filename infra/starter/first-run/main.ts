import { execFile } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isListening } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered } from '@repo/testing/spawn-tethered'
import { partsOfApps } from '../../parts-of-apps.ts'
import { openFreshClone, type FreshClone } from '../fresh-clone.ts'
import { findPlatformGaps, PLATFORMS } from './find-platform-gaps.ts'

/** An app's part of the quick start: checks its output. */
interface QuickStart {
  checkQuickStart(output: string, report: Report): void
}
type Report = (isTrue: boolean, what: string, otherwise?: string) => void

/** Variables of a shell that is set up for another project. */
const OF_ANOTHER_PROJECT = {
  NODE_ENV: 'production',
  NODE_OPTIONS: '--max-old-space-size=2048',
  PGHOST: 'db.example.com',
  PGSSLMODE: 'require',
  PGOPTIONS: '-c no_such_setting=1',
}

/** The user id of `nobody`, which every system has. */
const ORDINARY_USER = '65534'

/**
 * Follows the README in two fresh clones at the same time. In the first: `npx pnpm dev`, every line of the quick start, and
 * a service that is added and retired. Its path has a space and an umlaut, and its shell is set up for another project. The
 * second belongs to an ordinary user, and its second start has no network. Then installs the lockfile for six platforms. Uses
 * the last commit, not the working tree. Prints a line per check; the last line is `N passed, N failed`.
 */
const results: boolean[] = []
await Promise.all([tryQuickStart(), tryAsOrdinaryUser()])
await tryPlatforms()
const passed = results.filter(Boolean).length
console.log(`${passed} passed, ${results.length - passed} failed`)
process.exit(passed === results.length ? 0 : 1)

async function tryQuickStart(): Promise<void> {
  using clone = await openFreshClone('my apps/ü')
  Object.assign(clone.env, OF_ANOTHER_PROJECT)
  await using dev = startDev(clone)
  if (!(await dev.isReady('npx pnpm dev in "my apps/ü", in the shell of another project'))) return

  const { said } = await runIn(clone, ['bash', '-euc', await readQuickStart(clone)])
  checkQuickStart(said)
  for (const part of await partsOfApps<QuickStart>('test/starter/check-quick-start.ts'))
    part.checkQuickStart(said, report)

  // Without a commit in between.
  const added = await runIn(clone, ['npx', 'pnpm', 'new', 'orders', '--kind', 'http'])
  const url = `http://localhost:${clone.port}/api/orders`
  report(added.isDone && added.said.includes(url), 'pnpm new says where the new service answers', added.said)
  const answers = async (): Promise<boolean> => (await fetch(url)).ok
  const isThere = await pollUntil('it answers', answers, { deadlineMs: 60_000 }).then(
    () => true,
    () => false,
  )
  report(isThere, 'and there it answers', dev.said().slice(-2000))
  const retired = await runIn(clone, ['npx', 'pnpm', 'retire', 'orders'])
  report(retired.isDone, 'pnpm retire takes it away, though nothing was committed', retired.said)
  const { said: left } = await runIn(clone, ['git', 'status', '--porcelain'])
  report(left === '', 'all of that leaves nothing in git status', left)
  await dev.end()
}

async function tryAsOrdinaryUser(): Promise<void> {
  using clone = await openFreshClone()
  const isRoot = process.getuid?.() === 0
  const as = isRoot
    ? ['setpriv', `--reuid=${ORDINARY_USER}`, `--regid=${ORDINARY_USER}`, '--clear-groups']
    : []
  if (isRoot) {
    clone.env.HOME = join(clone.folder, '../home')
    await mkdir(clone.env.HOME)
    await runIn(clone, ['chown', '-R', `${ORDINARY_USER}:${ORDINARY_USER}`, join(clone.folder, '..')])
  }
  {
    await using dev = startDev(clone, as)
    if (!(await dev.isReady('npx pnpm dev as an ordinary user'))) return
    const second = await runIn(clone, [...as, 'npx', 'pnpm', 'dev'])
    report(
      !second.isDone && /already runs in this clone/.test(second.said),
      'a second one there is refused',
      second.said,
    )
    using other = await openFreshClone()
    other.env.PORT = `${clone.port}`
    const taken = await runIn(other, ['npx', 'pnpm', 'dev'])
    const advice = `PORT=${clone.port + 1} npx pnpm dev`
    report(
      !taken.isDone && taken.said.includes(advice),
      'one on a port that is taken says what to do',
      taken.said,
    )
    await dev.end()
  }
  // In a network namespace of its own, which has only loopback.
  const alone = ['unshare', '--net', ...(isRoot ? [] : ['--map-root-user'])]
  await using dev = startDev(clone, [...alone, 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...as])
  await dev.isReady('npx pnpm dev without a network, the second time')
}

/** One after the other, because they share pnpm's store. */
async function tryPlatforms(): Promise<void> {
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  for (const platform of PLATFORMS) {
    const name = Object.values(platform).join(' ')
    const gaps = await findPlatformGaps(root, platform).catch((error: Error) => [error.message])
    report(gaps.length === 0, `the lockfile installs as it is on ${name}`, gaps.join('\n'))
  }
}

/** `npx pnpm dev` in a clone, as a terminal runs it. */
function startDev({ folder, env, port }: FreshClone, via: readonly string[] = []) {
  let said = ''
  const startedAt = performance.now()
  const [command, ...args] = [...via, 'npx', 'pnpm', 'dev']
  const npx = spawnTethered(command!, args, { cwd: folder, env, onLine: (line) => (said += `${line}\n`) })
  return {
    said: () => said,
    async isReady(how: string): Promise<boolean> {
      const isDecided = (): boolean => /^ready in/m.test(said) || !npx.isRunning
      await pollUntil('pnpm dev is ready', isDecided, { deadlineMs: 300_000, everyMs: 50 }).catch(() => {})
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      const isReady = /^ready in/m.test(said) && npx.isRunning
      report(isReady, `${how} is ready after ${seconds} s`, said)
      return isReady
    },
    /** Sends Ctrl-C, and checks that every process ends in time and that the port is free again. */
    async end(): Promise<void> {
      const pids = [...said.matchAll(/\bpid (\d+)/g)].map((match) => Number(match[1]))
      process.kill(-npx.pid, 'SIGINT')
      // npx itself does not catch the signal, so its exit code is not checked.
      const hasEnded = await pollUntil('it has ended', () => !npx.isRunning && !pids.some(isAlive), {
        deadlineMs: 30_000,
      }).then(
        () => true,
        () => false,
      )
      report(
        hasEnded && pids.length > 0,
        `Ctrl-C ends it, and each of its ${pids.length} processes`,
        said.slice(-2000),
      )
      report(!said.includes('gave up'), 'every process ends in time', said.slice(-2000))
      report(!(await isListening(`http://127.0.0.1:${port}`)), 'its port is free again')
    },
    [Symbol.asyncDispose]: () => npx.stop(),
  }
}

function checkQuickStart(output: string): void {
  report(
    /"user":\{"id":"[\w-]+","email":"ada@example.com"/.test(output),
    'sign-up answers with the user',
    output,
  )
  report(/"sessions":\[\{"id":/.test(output), 'the person sees their session', output)
  const [, first, second] = [...output.matchAll(/^x-process: (accounts\.\d)\r?$/gim)].map((match) => match[1])
  report(
    first != null && second != null && first !== second,
    `processes alternate (${first}, ${second})`,
    output,
  )
}

/** The quick start of the README. Only the port is replaced, because 3000 may be in use here. */
async function readQuickStart({ folder, port }: FreshClone): Promise<string> {
  const readme = await readFile(join(folder, 'README.md'), 'utf8')
  const [, block] = /<!-- quick-start[^>]*-->\s*```sh\n([\s\S]*?)```/.exec(readme) ?? []
  if (block == null) throw new Error('README.md has no quick start')
  return block.replaceAll('localhost:3000', `localhost:${port}`)
}

/** Runs a command until it ends. Never rejects: `isDone` is false when it failed or took longer than 300 s. */
async function runIn({ folder, env }: FreshClone, [command, ...args]: string[]) {
  const options = { cwd: folder, env, maxBuffer: 2 ** 26, timeout: 300_000 }
  try {
    const { stdout, stderr } = await promisify(execFile)(command!, args, options)
    return { isDone: true, said: stdout + stderr }
  } catch (error) {
    const {
      stdout = '',
      stderr = '',
      message,
    } = error as { stdout?: string; stderr?: string; message: string }
    return { isDone: false, said: stdout + stderr || message }
  }
}

function report(isTrue: boolean, what: string, otherwise = ''): void {
  results.push(isTrue)
  console.log(`${isTrue ? 'ok    ' : 'FAILED'}  ${what}`)
  if (!isTrue && otherwise !== '') console.log(otherwise)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
