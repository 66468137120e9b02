/**
 * An oxlint rule: the `pattern` of a schema is written as a regular expression, `/^[^\0]*$/.source`, and not as a text. Patterns
 * meet what strangers send, and the rules that find slow regular expressions (`regexp/no-super-linear-*`) see literals only.
 */

/** The part of the syntax tree that is looked at. @see https://github.com/estree/estree */
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
