import { Type } from 'typebox'
import { PROBLEM_TYPE } from './problem.ts'

/** A problem document, in the words of OpenAPI. @see RFC 9457 */
const ProblemSchema = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String({ description: 'One sentence for a person' }),
  code: Type.String({ description: 'For programs' }),
  requestId: Type.Optional(Type.String()),
  errors: Type.Optional(Type.Array(Type.Object({}, { additionalProperties: true }))),
})

/**
 * What a route's schema says of the errors that it throws, so that the OpenAPI document knows them:
 * `response: { 201: Order, ...problemResponses(OrderTaken) }`.
 *
 * For types it is empty: errors are thrown, and what a handler returns is what the rest of `response` says.
 */
export function problemResponses(...errors: (new (...parameters: never[]) => Error)[]): object {
  const made = errors.map(
    (MadeBy) => new (MadeBy as new () => Error)() as Error & { statusCode: number; code: string },
  )
  const byStatus = Map.groupBy(made, ({ statusCode }) => statusCode)
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => {
      const sentences = ofStatus.map(
        ({ code, message }) => `\`${code}\`: ${message.replaceAll(/%[sdjo]/g, '…')}`,
      )
      return [
        status,
        { description: sentences.join('\n'), content: { [PROBLEM_TYPE]: { schema: ProblemSchema } } },
      ]
    }),
  )
}
