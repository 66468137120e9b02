import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../../..')

/**
 * Writes tables into a document, each between its markers: `<!-- bench speed -->` and `<!-- /bench speed -->`.
 *
 * @param document path from the root of the repository
 * @throws when a marker is missing
 */
export function writeTables(document: string, tables: { name: string; lines: string[] }[]): void {
  const file = join(root, document)
  let text = readFileSync(file, 'utf8')
  for (const { name, lines } of tables) {
    const [opening, closing] = [`<!-- bench ${name} -->`, `<!-- /bench ${name} -->`]
    const [start, end] = [text.indexOf(opening), text.indexOf(closing)]
    if (start === -1 || end < start) throw new Error(`${document} has no ${opening} … ${closing}`)
    text = `${text.slice(0, start)}${opening}\n\n${lines.join('\n')}\n\n${text.slice(end)}`
  }
  writeFileSync(file, text)
  execFileSync('npx', ['pnpm', 'exec', 'oxfmt', file], { cwd: root, stdio: 'ignore' })
}
