import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathOf, type Change } from './change.ts'

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
