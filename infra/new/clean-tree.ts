import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Refusal } from '@repo/generator'

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
