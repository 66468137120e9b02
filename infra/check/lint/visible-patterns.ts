/**
 * An oxlint rule: the `pattern` of a schema is written as a literal, `/^[^\0]*$/.source`, and not as a string. Patterns are
 * applied to what clients send, and the rules that find slow ones (`regexp/no-super-linear-*`) read only literals.
 */

/** The part of the syntax tree that the rule reads. @see https://github.com/estree/estree */
interface Node {
  type: string
  name?: string
  key?: Node
  value?: unknown
}

interface Context {
  report(problem: { node: Node; message: string }): void
}

/** The rule `nonstick/visible-patterns`. */
export const visiblePatterns = {
  create(context: Context) {
    return {
      Property({ key, value }: Node) {
        const pattern = value as Node
        const isText = pattern.type === 'TemplateLiteral' || typeof pattern.value === 'string'
        if (key?.name !== 'pattern' || !isText) return
        context.report({
          node: pattern,
          message: 'This regular expression is a text, which no rule looks into: write it as /…/.source',
        })
      },
    }
  },
}
