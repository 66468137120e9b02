import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What pnpm-lock.yaml says of packages. Above that stand the members, and one more of these asks for nothing new. */
export function packagesOf(root: string): string {
  try {
    const text = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
    return text.slice(text.indexOf('\npackages:\n'))
  } catch {
    return ''
  }
}
