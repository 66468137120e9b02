import type { TObject, TSchema } from 'typebox'
import { describeExpectation } from './describe-expectation.ts'

/** One variable, for a table in the documentation or for `.env.example`. */
export interface VariableDescription {
  name: string
  description: string
  expected: string
  /** What is expected in production, where that is stricter. */
  expectedInProduction?: string
  /** As it is written in an environment. */
  default?: string
  /** The process does not start without it. */
  isRequired: boolean
  /** Where a platform keeps it, if it is a secret. */
  secret?: SecretPlace
  /** Its default in development and in tests, as it is written in an environment. */
  inDevelopment?: string
}

/**
 * Where a secret is kept: `true` is the app's own store, a name is a store that apps share. The key in it is the name of the
 * variable, unless `key` names another.
 */
export type SecretPlace = true | string | { store: string; key: string }

/** Every variable of a schema, in the order of the schema. */
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
