import { expect, test } from 'vitest'
import { addImport, editSource, insertSorted } from '../edit-source.ts'

test('an import stands where the order of names has it: of Node, of packages, of the app', () => {
  const text = "import { a } from 'a'\nimport { c } from './c.ts'\n\na(c)\n"
  expect(addImport(text, "import { b } from 'b'")).toBe(
    text.replace('import { c', "import { b } from 'b'\nimport { c"),
  )
  expect(addImport(text, "import { d } from './d.ts'")).toBe(
    text.replace('\n\na', "\nimport { d } from './d.ts'\n\na"),
  )
  expect(addImport(text, "import { join } from 'node:path'")).toBe(
    `import { join } from 'node:path'\n${text}`,
  )
  expect(addImport(text, "import { a } from 'a'")).toBe(text)
  expect(addImport('a(c)\n', "import { a } from 'a'")).toBeUndefined()
})

test('a list has one word more, once', () => {
  expect(insertSorted('', 'sessions')).toBe('sessions')
  expect(insertSorted('sessions', 'database')).toBe('database, sessions')
  expect(insertSorted('database, sessions', 'database')).toBe('database, sessions')
})

test('a place that is not there is named, and nothing is edited', () => {
  const edits = [
    ['one', /one/, () => 'two'],
    ['a three', /three/, () => 'four'],
  ] as const
  expect(() => editSource('src/app.ts', 'one', edits)).toThrow(/^src\/app.ts .*it lacks `a three`/)
  expect(editSource('src/app.ts', 'one three', edits)).toBe('two four')
})
