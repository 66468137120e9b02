import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, type FormatOptions } from 'oxfmt'
import type { Files } from './read-template.ts'

/** As `pnpm format` would leave them: a longer name moves the line breaks. */
export async function formatFiles(root: string, files: Files): Promise<Files> {
  const { ignorePatterns: _, ...options } = JSON.parse(
    readFileSync(join(root, '.oxfmtrc.json'), 'utf8'),
  ) as FormatOptions & { ignorePatterns?: string[] }
  const formatted: Files = new Map()
  for (const [path, text] of files) {
    const isKnown = /\.(ts|json|md)$/.test(path)
    formatted.set(path, isKnown ? (await format(path, text, options)).code : text)
  }
  return formatted
}
