import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { pathOf, Refusal, type Change, type Step } from './change.ts'
import { settleChange } from './settle-change.ts'

/**
 * What stands around each command that changes the tree: a change that was left half done is finished first, what others have not
 * committed is in the way, and a refusal is its sentence and exit code 1.
 */
export async function runCommand(
  root: string,
  { isDry, isForced }: { isDry: boolean; isForced: boolean },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await settleChange(root)
    if (!isForced && !isDry) assertCleanTree(root)
    await work()
    if (!isForced && !isDry) rememberOwnChanges(root)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}

/** What `--dry-run` prints: a patch, and beside it what a person should know. */
export function printDry(root: string, change: Change, notes: readonly string[] = change.notes): void {
  process.stdout.write(printChange(root, change))
  for (const note of notes) console.error(note)
}

/** What is done to the tree, a line each: what goes, and what changes. */
export function printSteps(steps: readonly Step[]): void {
  for (const step of steps) console.log(`  ${'remove' in step ? '-' : '~'} ${pathOf(step)}`)
}

/**
 * Has pnpm take note of a member that has come or gone, so that its next command finds nothing to install. There is
 * nothing to download, and no version in the lockfile that was not there before: so the network is not asked.
 *
 * @param mayTidyUp in the lockfile, because a member that went may have been the last to use something
 */
export async function tellPnpm(root: string, { mayTidyUp = false } = {}): Promise<void> {
  const pnpm = process.env.npm_execpath
  // Without pnpm around us, its next command does this by itself.
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

/** What `pnpm new` and `pnpm retire` have left uncommitted: each path, and a digest of its content. */
const RECORD = '.dev/own-changes.json'

/** Each path that differs from the last commit, and a digest of its content; null where it is gone. */
type Changes = Record<string, string | null>

/**
 * What a command changes must be told apart from what was changed before. What an earlier one of these commands changed,
 * and nobody since, is in nobody's way.
 *
 * @throws {Refusal}
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

/** Takes all that is not committed for a change of ours. For a command that has asserted a clean tree, at its end. */
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
    // No git, nothing to tell apart.
    return {}
  }
}

function digestOf(file: string): string | null {
  return existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('base64url') : null
}

/** The change as a patch, which `git apply` takes. What a tool makes, as node_modules, is not in it. */
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
    // That there are differences is exit code 1.
    return (error as { stdout: string }).stdout
  }
}

function save(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
