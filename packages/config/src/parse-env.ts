import type { Static, TObject, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { describeExpectation } from './describe-expectation.ts'

/** What is wrong with one variable. It never contains the value, which may be a password. */
export interface EnvironmentProblem {
  name: string
  /** A text that follows the word "expected". */
  expected: string
  isMissing: boolean
}

/** All problems of an environment, in the order of the schema. */
export class EnvironmentError extends Error {
  readonly code = 'ENVIRONMENT_INVALID'
  readonly problems: EnvironmentProblem[]

  constructor(problems: EnvironmentProblem[]) {
    super(problems.map(toSentence).join('\n'))
    this.name = 'EnvironmentError'
    this.problems = problems
  }
}

/**
 * Converts the texts of an environment to typed values: whole numbers, numbers, `true` and `false`, and lists separated by
 * commas. An empty text counts as missing. Variables that the schema does not know are ignored.
 *
 * The keyword `inProduction` of a variable is a stricter schema that applies as well, unless `NODE_ENV` is `development` or
 * `test`: without `NODE_ENV` the strict rules apply. Only in development and tests, `inDevelopment` is the value of a
 * missing variable.
 *
 * @param schema a flat `Type.Object` whose keys are the names of the variables
 * @throws {EnvironmentError} naming every problem, and no value
 */
export function parseEnv<S extends TObject>(
  schema: S,
  source: Record<string, string | undefined>,
): Readonly<Static<S>> {
  const isProduction = !['development', 'test'].includes(source.NODE_ENV ?? '')
  const values: Record<string, unknown> = {}
  const problems: EnvironmentProblem[] = []

  for (const [name, variable] of Object.entries<TSchema & Keywords>(schema.properties)) {
    const strict = isProduction ? variable.inProduction : undefined
    const text = source[name]
    const value = text
      ? convert(variable, text)
      : ((isProduction ? undefined : variable.inDevelopment) ?? variable.default)

    if (value === undefined) {
      if (schema.required?.includes(name)) {
        problems.push({ name, expected: describeExpectation(strict ?? variable), isMissing: true })
      }
    } else if (!Value.Check(variable, value) || (strict && !Value.Check(strict, value))) {
      problems.push({ name, expected: describeExpectation(strict ?? variable), isMissing: false })
    } else {
      values[name] = Array.isArray(value) ? Object.freeze(value) : value
    }
  }

  if (problems.length > 0) throw new EnvironmentError(problems)
  return Object.freeze(values) as Readonly<Static<S>>
}

/** The keywords of a variable's schema that are read here. */
interface Keywords {
  type?: string
  items?: TSchema
  default?: unknown
  inProduction?: TSchema
  inDevelopment?: unknown
}

/** A text that does not have the expected type stays a text, so the check that follows fails. */
function convert(schema: Keywords, text: string): unknown {
  switch (schema.type) {
    case 'integer':
      return /^-?\d+$/.test(text) ? Number(text) : text
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
    case 'boolean':
      return text === 'true' || (text === 'false' ? false : text)
    case 'array':
      return listItems(text).map((item) => convert(schema.items ?? {}, item))
    default:
      return text
  }
}

function listItems(text: string): string[] {
  const items = text.split(',').map((item) => item.trim())
  return items.filter((item) => item !== '')
}

function toSentence({ name, expected, isMissing }: EnvironmentProblem): string {
  return isMissing ? `${name} is missing, expected ${expected}` : `${name} is not ${expected}`
}
