import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'

/**
 * Validates requests with TypeBox. Types in a body are strict: `"5"` is not a number. Queries, parameters and headers are
 * texts, so there a text is converted to the type of the schema, and defaults are filled in. Properties that the schema of a
 * body or query does not name are removed; with `additionalProperties: false` they are an error.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema)
  const isText = httpPart !== 'body'
  const isClosed = httpPart === 'body' || httpPart === 'querystring'

  return (data: unknown) => {
    const value = isText ? readTexts(schema, data) : data
    if (!validator.Check(value)) return { error: validator.Errors(value) }
    return { value: isClosed ? Value.Clean(schema, value) : value }
  }
}

interface Rules {
  type?: string
  items?: Rules
  default?: unknown
  properties?: Record<string, Rules>
}

function readTexts(schema: Rules, data: unknown): Record<string, unknown> {
  const values: Record<string, unknown> = { ...(data as Record<string, unknown>) }
  for (const [name, rules] of Object.entries(schema.properties ?? {})) {
    const value = values[name]
    if (value !== undefined) values[name] = readText(rules, value)
    else if (rules.default !== undefined) values[name] = rules.default
  }
  return values
}

/** A text that cannot be converted stays as it is, and the check refuses it. */
function readText({ type, items }: Rules, value: unknown): unknown {
  if (type === 'array') return [value].flat().map((item) => readText(items ?? {}, item))
  if (typeof value !== 'string') return value
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  const isNumber =
    (type === 'integer' || type === 'number') && value.trim() !== '' && Number.isFinite(Number(value))
  return isNumber ? Number(value) : value
}
