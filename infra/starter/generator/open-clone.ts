import { execFile } from 'node:child_process'
import { cp, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const ROOT = resolve(import.meta.dirname, '../../..')

/** A copy of the working tree in a folder of its own: everything is committed there, and its packages are installed. */
export interface Clone extends AsyncDisposable {
  root: string
  /** Runs a TypeScript file of the clone. Never rejects: see `code`. */
  run(
    file: string,
    args?: readonly string[],
    nodeArgs?: readonly string[],
    env?: NodeJS.ProcessEnv,
  ): Promise<Ended>
  /** Runs a program of node_modules/.bin. */
  exec(program: string, args: readonly string[]): Promise<Ended>
  pnpm(...args: string[]): Promise<Ended>
  git(...args: string[]): Promise<Ended>
  /** The output of `git status --porcelain`: empty without changes. */
  status(): Promise<string>
  commit(): Promise<void>
}

export interface Ended {
  code: number | string | undefined
  signal: string | undefined
  output: string
}

export async function openClone(): Promise<Clone> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'clone-')))
  const root = join(folder, 'another-folder')
  const git = (...args: string[]): Promise<Ended> =>
    end('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], root)

  const { stdout } = await promisify(execFile)(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'],
    { cwd: ROOT },
  )
  for (const path of stdout.split('\0').filter(Boolean)) {
    // A file that was deleted in the working tree is still in git's list.
    await cp(join(ROOT, path), join(root, path)).catch(() => {})
  }
  await git('init', '--quiet')
  const clone: Clone = {
    root,
    run: (file, args = [], nodeArgs = [], env = {}) =>
      end(process.execPath, [...nodeArgs, join(root, file), ...args], root, env),
    exec: (program, args) => end(join(root, 'node_modules/.bin', program), args, root),
    pnpm: (...args) => end('npx', ['pnpm', ...args], root),
    git,
    status: async () => (await git('status', '--porcelain')).output,
    async commit() {
      await must(git('add', '--all'))
      await must(git('commit', '--quiet', '--message', 'as it stands'))
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
  // Renders derived files again: their sources may have changed in the working tree.
  await must(clone.pnpm('install', '--offline', '--frozen-lockfile', '--trust-lockfile'))
  await must(clone.run('infra/dev/make.ts'))
  await must(clone.run('infra/deploy/main.ts'))
  await clone.commit()
  return clone
}

/** The names of the example apps. */
export async function listExamples({ git }: Clone): Promise<string[]> {
  const { output } = await git('grep', '-l', '"example": true', '--', 'apps/*/package.json')
  return [...output.matchAll(/^apps\/(.+)\/package\.json$/gm)].map(([, name]) => name!)
}

/** @throws when the exit code is not 0, with the whole output: an expectation would show only its first lines */
export async function must(ended: Promise<Ended>): Promise<Ended> {
  const { code, output } = await ended
  if (code !== 0) throw new Error(`exit code ${code}\n${output}`)
  return ended
}

async function end(
  program: string,
  args: readonly string[],
  cwd: string,
  more: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  // The clone's tests start servers of their own, because this run's databases lack its tables. Long tests are off.
  const { DATABASE_URL: _1, SESSION_STORE_URL: _2, TEST_RUN_ID: _3, TEST_LONG: _4, ...rest } = process.env
  const env = { ...rest, NO_COLOR: '1', PATH: path(cwd), ...more }
  const options = { cwd, env, maxBuffer: 2 ** 27 }
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, options)
    return { code: 0, signal: undefined, output: stdout + stderr }
  } catch (error) {
    const { code, signal, stdout, stderr } = error as Error & {
      code?: number
      signal?: string
      stdout: string
      stderr: string
    }
    return { code, signal: signal ?? undefined, output: `${stdout}${stderr}` }
  }
}

/** PATH with the clone's programs, and without those of the repository that runs this test. */
function path(root: string): string {
  const own = [join(root, 'node_modules/.bin'), dirname(process.execPath)]
  const rest = (process.env.PATH ?? '').split(':').filter((folder) => !folder.startsWith(ROOT))
  return [...own, ...rest].join(':')
}
