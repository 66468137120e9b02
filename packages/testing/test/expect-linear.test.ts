import { expect, test } from 'vitest'
import { expectLinear } from '../src/expect-linear.ts'

test.each<[string, (text: string) => unknown]>([
  ['a regular expression', (text) => text.split(/\s*,\s*/)],
  [
    'a search for each of many',
    (text) =>
      text.split(',').filter((part, at, parts) => parts.indexOf(part, at + 1) < 0 && parts.includes(`${at}`)),
  ],
  [
    'a loop that cuts off the beginning',
    (text) => {
      for (let rest = Buffer.from(text); rest.length > 0;) rest = Buffer.from(rest.subarray(1))
    },
  ],
])('%s that grows with the square is found', async (_, work) => {
  await expect(expectLinear(work)).rejects.toThrow()
})

test('work that grows with the text, or is an error, passes', async () => {
  await expectLinear((text) =>
    JSON.parse(
      text
        .split(',')
        .map((part) => part.trim())
        .join(),
    ),
  )
})
