import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Makes one folder what another one is, and touches nothing that is the same already: `pnpm dev` restarts whoever
 * imports a file that was written. Both are on one disk. What was moved is gone from the first one.
 */
export function moveDifferences(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  const made = readdirSync(from, { withFileTypes: true })
  for (const entry of made) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    const before = statSync(target, { throwIfNoEntry: false })
    if (before && before.isDirectory() !== entry.isDirectory()) rmSync(target, { recursive: true })
    if (entry.isDirectory()) moveDifferences(source, target)
    // Moved and not written, so whoever reads it meanwhile reads a whole file.
    else if (!before?.isFile() || !readFileSync(source).equals(readFileSync(target)))
      renameSync(source, target)
  }
  // Last, because what was there before may import it until it is replaced.
  const names = new Set(made.map(({ name }) => name))
  for (const name of readdirSync(to)) if (!names.has(name)) rmSync(join(to, name), { recursive: true })
}
