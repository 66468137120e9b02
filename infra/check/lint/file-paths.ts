/** The part of the syntax tree that the rule reads. @see https://github.com/estree/estree */
interface Node {
  type: string
  name?: string
  object?: Node
  property?: Node
  callee?: Node
  meta?: Node
  arguments?: Node[]
}

interface Context {
  report(problem: { node: Node; message: string }): void
}

/**
 * A rule for oxlint: the `pathname` of a file URL is not the path of the file, because in a URL a blank is `%20` and `ü` is
 * `%C3%BC`. It finds `new URL(…, import.meta.url).pathname`.
 *
 * @see https://nodejs.org/api/url.html#urlfileurltopathurl-options
 */
export const filePaths = {
  create(context: Context) {
    return {
      MemberExpression(node: Node) {
        const { object, property } = node
        if (property?.name !== 'pathname' || object?.callee?.name !== 'URL') return
        if (object.arguments?.some(isImportMetaUrl)) {
          const message =
            'This is no path where a folder has a blank or an umlaut in its name. Use fileURLToPath.'
          context.report({ node, message })
        }
      },
    }
  },
}

function isImportMetaUrl({ type, object, property }: Node): boolean {
  return type === 'MemberExpression' && object?.type === 'MetaProperty' && property?.name === 'url'
}
