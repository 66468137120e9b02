import type { Static, TObject, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { describeExpectation } from './describe-expectation.ts'

/** What is wrong with one variable. It never holds the value: that may be a password. */
export interface EnvironmentProblem {
  name: string
  /** In words, to follow "expected". */
  expected: string
  isMissing: boolean
}

/** Every problem of an environment at once, in the order of the schema. */
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
 * Turns the texts of an environment into typed values: whole numbers, numbers, `true` and `false`, and lists
 * separated by commas. An empty text counts as missing. Names the schema does not know are left alone.
 *
 * The keyword `inProduction` of a variable is a stricter schema that holds as well, unless `NODE_ENV` is
 * `development` or `test`: whoever forgets to set it gets the strict rules. There, and only there, `inDevelopment` is its value
 * when it is missing.
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

/** What a variable's schema may say beyond JSON Schema's own words. */
interface Keywords {
  type?: string
  items?: TSchema
  default?: unknown
  inProduction?: TSchema
  inDevelopment?: unknown
}

/** A text that does not read as what the schema asks for stays a text, and so fails the check that follows. */
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
