import { execFileSync } from 'node:child_process'
import { Refusal } from '@repo/generator'

/**
 * What a command changes must be told apart from what was changed before.
 *
 * @throws {Refusal}
 */
export function assertCleanTree(root: string): void {
  const changed = changedFiles(root)
  if (changed.length === 0) return
  const shown = changed.slice(0, 5).map((line) => `  ${line}`)
  if (changed.length > shown.length) shown.push(`  and ${changed.length - shown.length} more`)
  throw new Refusal(
    `There are changes that are not committed:\n${shown.join('\n')}\nCommit them first, or say --force.`,
  )
}

function changedFiles(root: string): string[] {
  try {
    const output = execFileSync('git', ['status', '--porcelain'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return output.split('\n').filter((line) => line !== '')
  } catch {
    // No git, nothing to tell apart.
    return []
  }
}
