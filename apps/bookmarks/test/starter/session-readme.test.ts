import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8')
const unindented = (text: string): string => text.replace(/^ +/gm, '')

test('the example of merging in the README of the sessions is the code of this app', async () => {
  const readme = await read('../../../../packages/session/README.md')
  const code = unindented(await read('../../src/routes/searches.ts'))
  const block = [...readme.matchAll(/^```ts\n([^`]*)^```$/gm)]
    .map(([, text]) => text!)
    .find((text) => text.includes('recentSearches'))
  const parts = unindented(block ?? '')
    .trim()
    .split('\n\n')
  expect(parts).toHaveLength(2)
  for (const part of parts) expect(code).toContain(part)
})
