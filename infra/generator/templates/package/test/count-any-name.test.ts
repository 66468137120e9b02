import { expect, test } from 'vitest'
import { countAnyName } from '../src/index.ts'

test('a thing named twice is one', () => {
  expect(countAnyName(['a', 'b', 'a'])).toBe(2)
  expect(countAnyName([])).toBe(0)
})
