import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const root = new URL('../../../', import.meta.url).pathname
const readme = `${root}packages/session/README.md`

/** Puts tables into the README of the package, each between its markers: `<!-- bench speed -->` and `<!-- /bench speed -->`. */
export function writeTables(tables: { name: string; lines: string[] }[]): void {
  let text = readFileSync(readme, 'utf8')
  for (const { name, lines } of tables) {
    const [opening, closing] = [`<!-- bench ${name} -->`, `<!-- /bench ${name} -->`]
    const [start, end] = [text.indexOf(opening), text.indexOf(closing)]
    if (start === -1 || end < start) throw new Error(`${readme} has no ${opening} … ${closing}`)
    text = `${text.slice(0, start)}${opening}\n\n${lines.join('\n')}\n\n${text.slice(end)}`
  }
  writeFileSync(readme, text)
  execFileSync('npx', ['pnpm', 'exec', 'oxfmt', readme], { cwd: root, stdio: 'ignore' })
}
