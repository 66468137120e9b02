import { expect, test } from 'vitest'
import { withoutBlocks, withoutIdleImports } from '../cut-text.ts'

const TEXT = `One.


Two.

<!-- keep: compose, kubernetes -->

Three.

<!-- keep: compose -->

Four.

<!-- /keep -->

<!-- /keep -->

Five.
  # keep: prove
  six
  # /keep
`

test('a block goes when none of its words is kept, and with it what stands in it', () => {
  const two = 'One.\n\n\nTwo.\n\n'
  expect(withoutBlocks(TEXT, [])).toBe(`${two}Five.\n`)
  expect(withoutBlocks(TEXT, ['prove'])).toBe(`${two}Five.\n  # keep: prove\n  six\n  # /keep\n`)
  expect(withoutBlocks(TEXT, ['kubernetes'])).toBe(
    `${two}<!-- keep: compose, kubernetes -->\n\nThree.\n\n<!-- /keep -->\n\nFive.\n`,
  )
  expect(withoutBlocks(TEXT, ['compose', 'prove'])).toBe(TEXT)
})

test('names that only a removed block used are not imported any more', () => {
  const text = `import { endWith, startJobs, type Job as Work } from './jobs.ts'
import { openMailer } from './mails.ts'
import type {
  Mail,
} from './mails.ts'
import { inspect } from 'node:util'

startJobs([] satisfies Work[])
inspect('Mailer')
`
  expect(withoutIdleImports(text)).toBe(`import { startJobs, type Job as Work } from './jobs.ts'
import { inspect } from 'node:util'

startJobs([] satisfies Work[])
inspect('Mailer')
`)
})

test('a block without an end is refused, since it would take the rest of the file', () => {
  expect(() => withoutBlocks('one\n// keep: prove\ntwo\n', [])).toThrow('has no end')
})
