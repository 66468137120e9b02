import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort, isListening } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered, type TetheredProcess } from '@repo/testing/spawn-tethered'

const repository = resolve(import.meta.dirname, '../../..')

const COPIED = [
  'apps',
  'packages',
  'infra/databases.ts',
  'infra/dev',
  'infra/environment.ts',
  'infra/formation.ts',
  'infra/generator/lock-tree.ts',
  'infra/migrate/find-unsafe-migrations.ts',
  'infra/node_modules',
  'infra/package.json',
]
const MANIFESTS = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']

/** A copy of the working tree, which a test may edit. The installed packages are shared. */
export interface Copy extends AsyncDisposable {
  root: string
}

export async function copyRepository(): Promise<Copy> {
  const root = await mkdtemp(join(tmpdir(), 'nonstick-dev-'))
  for (const name of [...COPIED, ...MANIFESTS]) {
    await cp(join(repository, name), join(root, name), { recursive: true, verbatimSymlinks: true })
  }
  // A link for each entry, not for the folder: what the copy writes there does not get into the repository's folder.
  await mkdir(join(root, 'node_modules'))
  for (const name of await readdir(join(repository, 'node_modules'))) {
    await symlink(join(repository, 'node_modules', name), join(root, 'node_modules', name))
  }
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}

/** A running `pnpm dev`. */
export interface Dev extends AsyncDisposable {
  port: number
  url: string
  command: TetheredProcess
  /** All output until now. */
  said(): string
  /** Resolves once the output after this call matches. */
  says(what: RegExp, deadlineMs?: number): Promise<RegExpExecArray>
  /** The pid of `accounts.1` or `postgres` in the latest output. */
  pid(name: string): number
  /** Its own pid, and those of all that it has started. */
  pids(): number[]
}

interface DevOptions {
  args?: string[]
  env?: Record<string, string | undefined>
  /** Wraps the command: returns another one, which starts it. */
  by?: (command: string[]) => string[]
}

export async function runDev({ root }: Copy, { args = [], env = {}, by }: DevOptions = {}): Promise<Dev> {
  const port = Number(env.PORT ?? (await freePort()))
  const itself = [process.execPath, join(root, 'infra/dev/main.ts'), ...args]
  const [program, ...rest] = by ? by(itself) : itself
  let said = ''
  const command = spawnTethered(program!, rest, {
    cwd: root,
    // Not the stores of the test run.
    env: {
      ...process.env,
      DATABASE_URL: undefined,
      SESSION_STORE_URL: undefined,
      NO_COLOR: '1',
      ...env,
      PORT: `${port}`,
    },
    onLine: (line) => (said += `${line}\n`),
  })

  const pid = (name: string): number => {
    // The table has it, or the sentence about a restart.
    const told = [...said.matchAll(new RegExp(`\\b${name} +(?:\\S+://\\S+ +|\\()pid (\\d+)`, 'g'))]
    return Number(told.at(-1)?.[1])
  }
  return {
    port,
    url: `http://localhost:${port}`,
    command,
    said: () => said,
    async says(what, deadlineMs = 60_000) {
      const from = said.length
      let found: RegExpExecArray | null = null
      const isSaid = (): boolean => (found = what.exec(said.slice(from))) !== null
      await pollUntil(`it says ${what}`, isSaid, { deadlineMs }).catch((cause) => {
        throw new Error(`${(cause as Error).message}. It said:\n${said}`, { cause })
      })
      return found!
    },
    pid,
    pids() {
      const names = said.matchAll(/(\S+) +\S+:\/\/\S+ +pid \d+/g)
      return [command.pid, ...new Set([...names].map(([, name]) => pid(name!)))]
    },
    [Symbol.asyncDispose]: () => command.stop(),
  }
}

/** Resolves once all these processes have ended and the port is free. */
export async function everythingEnds({ port }: Dev, pids: number[]): Promise<void> {
  await pollUntil(`nothing is left of ${pids.join(', ')}`, () => !pids.some(isAlive), { deadlineMs: 30_000 })
  await pollUntil('the port is free', async () => !(await isListening(`http://127.0.0.1:${port}`)))
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
