import { readdir, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

test('the table of errors is what the source makes', async () => {
  const src = new URL('../src/', import.meta.url)
  const files = (await readdir(src)).filter((name) => name.endsWith('.ts'))
  const sources = await Promise.all(files.map((name) => readFile(new URL(name, src), 'utf8')))
  const made = sources
    .join('\n')
    .matchAll(/createError(?:<[^>]*>)?\(\s*'(\w+)',\s*'[^']*',\s*(\d+)/g)
    .map(([, code, status]) => `${code} ${status}`)
  const documented = readme
    .matchAll(/^\| `([A-Z_]+)` +\| (\d+) /gm)
    .map(([, code, status]) => `${code} ${status}`)
  expect([...documented]).toEqual([...made])
})

test('every file that the README links to exists', async () => {
  const files = [...readme.matchAll(/`(src\/[\w/-]+\.ts)`/g)].map(([, file]) => file!)
  expect(files.length).toBeGreaterThan(2)
  for (const file of files) await readFile(new URL(`../${file}`, import.meta.url))
})
