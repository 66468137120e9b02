import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs, promisify, type ParseArgsOptionsConfig } from 'node:util'
import { pathOf, Refusal, type Change, type Step } from './change.ts'
import { waitForTree } from './lock-tree.ts'

/**
 * Runs a command that changes the tree. Uncommitted changes are refused, unless the command is forced or dry. For a `Refusal`
 * it prints the message, and the exit code is 1.
 */
export async function runCommand(
  root: string,
  { isDry, isForced }: { isDry: boolean; isForced: boolean },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await waitForTree(root)
    if (!isForced && !isDry) assertCleanTree(root)
    await work()
    if (!isForced && !isDry) rememberOwnChanges(root)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}

const COMMON = {
  'dry-run': { type: 'boolean', default: false },
  force: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

type Parsed<Options extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ allowPositionals: true; options: Options & typeof COMMON }>
>

/**
 * Reads the arguments of this process, and the options that all commands have. After `--help` it prints the help, and after
 * wrong arguments what is wrong and the help; both end the process.
 *
 * @param read throws when the arguments are wrong
 */
export function readArguments<Options extends ParseArgsOptionsConfig, Result extends object>(
  help: string,
  options: Options,
  read: (values: Parsed<Options>['values'], words: string[]) => Result,
): Result & { isDry: boolean; isForced: boolean } {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { ...options, ...COMMON } })
    const { 'dry-run': isDry, force: isForced, help: isAsked } = values as Parsed<{}>['values']
    if (isAsked) {
      console.log(help)
      process.exit()
    }
    return { ...read(values as Parsed<Options>['values'], positionals), isDry, isForced }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`)
    process.exit(1)
  }
}

/** Prints what `--dry-run` shows: the patch on stdout, the notes on stderr. */
export function printDry(root: string, change: Change, notes: readonly string[] = change.notes): void {
  process.stdout.write(printChange(root, change))
  for (const note of notes) console.error(note)
}

/** Prints a line for each step: `-` before what is removed, `~` before what is written. */
export function printSteps(steps: readonly Step[]): void {
  for (const step of steps) console.log(`  ${'remove' in step ? '-' : '~'} ${pathOf(step)}`)
}

/**
 * Runs `pnpm install` after a member was added or removed, so that pnpm's next command finds nothing to install. It needs no
 * network: there is nothing to download, and the lockfile has no new version.
 *
 * @param mayTidyUp lets pnpm change the lockfile, because a removed member may have been the last that used a package
 */
export async function tellPnpm(root: string, { mayTidyUp = false } = {}): Promise<void> {
  const pnpm = process.env.npm_execpath
  // When pnpm has not started us, its next command does this by itself.
  if (!pnpm?.includes('pnpm')) return
  const args = [
    'install',
    '--offline',
    '--trust-lockfile',
    mayTidyUp ? '--no-frozen-lockfile' : '--frozen-lockfile',
    '--silent',
  ]
  const [program, ...rest] = /\.[cm]?js$/.test(pnpm) ? [process.execPath, pnpm, ...args] : [pnpm, ...args]
  await promisify(execFile)(program!, rest, { cwd: root }).catch(() => {
    console.log(
      'pnpm could not take note of it offline; its next command will, and needs the network for it.',
    )
  })
}

/** The changes by these commands that are not committed: each path, and a digest of its content. */
const RECORD = '.dev/own-changes.json'

/** Each path that differs from the last commit, and a digest of its content; null where it is gone. */
type Changes = Record<string, string | null>

/**
 * Makes sure that the changes of a command can be told apart from earlier ones. Changes that are not committed are accepted
 * only if one of these commands made them and nobody has edited them since.
 *
 * @throws {Refusal} with the first five paths of other changes
 */
export function assertCleanTree(root: string): void {
  const own = readRecord(root)
  const others = Object.entries(readChanges(root)).filter(([path, digest]) => own[path] !== digest)
  if (others.length === 0) return
  const shown = others.slice(0, 5).map(([path]) => `  ${path}`)
  if (others.length > shown.length) shown.push(`  and ${others.length - shown.length} more`)
  throw new Refusal(
    `There are changes that are not committed:\n${shown.join('\n')}\nCommit them first, or say --force.`,
  )
}

/** Records all changes that are not committed as ours. Only for the end of a command that has asserted a clean tree. */
export function rememberOwnChanges(root: string): void {
  mkdirSync(dirname(join(root, RECORD)), { recursive: true, mode: 0o700 })
  writeFileSync(join(root, RECORD), JSON.stringify(readChanges(root), null, 2))
}

function readRecord(root: string): Changes {
  const file = join(root, RECORD)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Changes) : {}
}

function readChanges(root: string): Changes {
  try {
    const args = ['status', '--porcelain', '-z', '--no-renames', '--untracked-files=all']
    const output = execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const paths = output.split('\0').flatMap((entry) => entry.slice('XY '.length) || [])
    return Object.fromEntries(paths.map((path) => [path, digestOf(join(root, path))]))
  } catch {
    // Without git there are no commits to compare with.
    return {}
  }
}

function digestOf(file: string): string | null {
  return existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('base64url') : null
}

/** The change as a patch for `git apply`, without what tools make, as node_modules. */
export function printChange(root: string, { steps }: Change): string {
  const folder = mkdtempSync(join(tmpdir(), 'change-'))
  try {
    for (const side of ['a', 'b']) mkdirSync(join(folder, side))
    for (const step of steps) {
      const path = pathOf(step)
      if (existsSync(join(root, path))) {
        cpSync(join(root, path), join(folder, 'a', path), { recursive: true, filter: isWritten })
      }
      if ('write' in step) save(join(folder, 'b', path), step.content)
      if ('make' in step) for (const [name, text] of step.files) save(join(folder, 'b', path, name), text)
    }
    return diff(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function isWritten(path: string): boolean {
  return !/[\\/](node_modules|dist|generated|\.turbo|test-report\.json)$/.test(path)
}

function diff(folder: string): string {
  const args = ['diff', '--no-index', '--no-prefix', '--no-color', '--text', 'a', 'b']
  try {
    return execFileSync('git', args, { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 26 })
  } catch (error) {
    // git's exit code is 1 when there are differences.
    return (error as { stdout: string }).stdout
  }
}

function save(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
