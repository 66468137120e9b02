import { expect, test } from 'vitest'
import { expectLinear } from '../src/expect-linear.ts'

test.each<[string, (text: string) => unknown]>([
  ['a regular expression', (text) => text.split(/\s*,\s*/)],
  [
    'a loop in a loop',
    (text) => Array.from(text).filter((one, _, all) => all.every((other) => other <= one)),
  ],
])('%s that takes the square of its text is found', async (_, work) => {
  await expect(expectLinear(work)).rejects.toThrow('Property failed')
})

test('work that grows with its text, or is an error, passes', async () => {
  await expectLinear((text) =>
    JSON.parse(
      text
        .split(',')
        .map((part) => part.trim())
        .join(),
    ),
  )
})
