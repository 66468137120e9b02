import type { TSchema } from 'typebox'

/** The keywords of JSON Schema that a variable may use, and `expected`: a text that replaces the generated one. */
interface Rules {
  expected?: string
  type?: string
  enum?: unknown[]
  minimum?: number
  maximum?: number
  minLength?: number
  minItems?: number
  format?: string
  pattern?: string
  items?: TSchema
}

/** What a schema expects, as a text that follows the word "expected". */
export function describeExpectation(schema: TSchema): string {
  const rules = schema as Rules
  if (rules.expected) return rules.expected
  if (rules.enum) return `one of ${rules.enum.join(', ')}`
  switch (rules.type) {
    case 'integer':
      return `a whole number${describeRange(rules)}`
    case 'number':
      return `a number${describeRange(rules)}`
    case 'boolean':
      return 'true or false'
    case 'array':
      return `a list separated by commas${atLeast(rules.minItems)}, each ${describeExpectation(rules.items ?? {})}`
    default:
      return describeText(rules)
  }
}

function describeText({ minLength, format, pattern }: Rules): string {
  if (format) return format === 'uri' ? 'a URL' : `text in the form "${format}"`
  if (pattern) return `text like ${pattern}`
  return minLength && minLength > 1 ? `text of at least ${minLength} characters` : 'text'
}

function describeRange({ minimum, maximum }: Rules): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  if (minimum !== undefined) return ` of at least ${minimum}`
  return maximum === undefined ? '' : ` of at most ${maximum}`
}

function atLeast(minItems = 0): string {
  return minItems > 0 ? `, at least ${minItems}` : ''
}
