import type { TObject, TSchema } from 'typebox'
import { describeExpectation } from './describe-expectation.ts'

/** One variable, as a table of documentation or `.env.example` tells it. */
export interface VariableDescription {
  name: string
  description: string
  expected: string
  /** What is expected in production, where that is stricter. */
  expectedInProduction?: string
  /** As one would write it into the environment. */
  default?: string
  /** The process does not start without it. */
  isRequired: boolean
  /** Where a platform keeps it, when nobody else may see it. */
  secret?: SecretPlace
  /** What it is in development and in tests when nobody says, as one would write it into the environment. */
  inDevelopment?: string
}

/**
 * What keeps a secret: `true` is the app's own, a name is one that apps share. The key in it is the name of the variable, unless it
 * is said.
 */
export type SecretPlace = true | string | { store: string; key: string }

/** Every variable a schema reads, in the schema's order. */
export function describeEnv(schema: TObject): VariableDescription[] {
  return Object.entries<TSchema & Keywords>(schema.properties).map(([name, variable]) => ({
    name,
    description: variable.description ?? '',
    expected: describeExpectation(variable),
    ...(variable.inProduction && { expectedInProduction: describeExpectation(variable.inProduction) }),
    ...(variable.default !== undefined && { default: String(variable.default) }),
    isRequired: variable.default === undefined && (schema.required?.includes(name) ?? false),
    ...(variable.secret && { secret: variable.secret }),
    ...(variable.inDevelopment !== undefined && { inDevelopment: String(variable.inDevelopment) }),
  }))
}

interface Keywords {
  description?: string
  default?: unknown
  inProduction?: TSchema
  secret?: SecretPlace
  inDevelopment?: unknown
}
