import { printChange, Refusal, settleChange, type Change } from '@repo/generator'
import { assertCleanTree, rememberOwnChanges } from './clean-tree.ts'

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
