/**
 * An oxlint rule: no module of an app or a package has mutable state. Another process of the same type does not have that
 * state, and it is lost when this process dies.
 *
 * The rule finds `let` and `var` at the top of a module, collections there that begin empty or are changed later, and
 * changes of `globalThis`. It does not find state in a closure: tests with several processes and the proof do.
 */

/** The part of the syntax tree that the rule reads. @see https://github.com/estree/estree */
interface Node {
  type: string
  name?: string
  kind?: string
  declare?: boolean
  parent?: Node
  body?: Node[]
  declaration?: Node | null
  declarations?: Node[]
  id?: Node
  init?: Node | null
  callee?: Node
  object?: Node
  property?: Node
  left?: Node
  argument?: Node
  expression?: Node
  operator?: string
  arguments?: Node[]
  elements?: Node[]
  properties?: Node[]
}

interface Context {
  sourceCode: { getCommentsBefore(node: Node): { value: string }[] }
  report(problem: { node: Node; message: string }): void
}

const COLLECTIONS = /^(?:Map|Set|WeakMap|WeakSet|Array)$/
const CHANGES = /^(?:set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill)$/
const INSTEAD =
  'Pass it in, hold it in what openResources opens, or keep it in a store. If it may well differ from process to process, ' +
  'say why in a comment before it: // share-nothing: <reason>'

/** The rule `nonstick/share-nothing`. */
export const shareNothing = {
  create(context: Context) {
    const held = new Map<string, Node>()
    const changed = new Set<string>()

    function change(target: Node | undefined): void {
      const owner = target?.type === 'MemberExpression' ? target.object : undefined
      if (owner?.type === 'Identifier') changed.add(owner.name!)
      if (owner?.name === 'globalThis') {
        report(target!, 'globalThis belongs to this process alone.')
      }
    }

    function report(node: Node, what: string): void {
      context.report({ node, message: `${what} ${INSTEAD}` })
    }

    return {
      Program({ body = [] }: Node) {
        for (const statement of body) {
          const declaration = statement.declaration ?? statement
          if (declaration.type !== 'VariableDeclaration' || declaration.declare) continue
          if (hasReason(context, statement)) continue
          for (const { id, init } of declaration.declarations ?? []) {
            if (declaration.kind !== 'const') report(statement, `"${id!.name}" of this module can change.`)
            else if (isEmptyCollection(init))
              report(statement, `"${id!.name}" of this module waits to be filled.`)
            else if (id!.type === 'Identifier') held.set(id!.name!, statement)
          }
        }
      },
      CallExpression({ callee }: Node) {
        if (callee?.type === 'MemberExpression' && CHANGES.test(callee.property?.name ?? '')) change(callee)
      },
      AssignmentExpression: ({ left }: Node) => change(left),
      UpdateExpression: ({ argument }: Node) => change(argument),
      UnaryExpression: ({ operator, argument }: Node) => operator === 'delete' && change(argument),
      'Program:exit'() {
        for (const [name, statement] of held) {
          if (changed.has(name)) report(statement, `"${name}" of this module is changed further down.`)
        }
      },
    }
  },
}

function isEmptyCollection(init: Node | null | undefined): boolean {
  if (init?.type === 'ArrayExpression') return init.elements!.length === 0
  if (init?.type === 'ObjectExpression') return init.properties!.length === 0
  if (init?.type?.startsWith('TS') && init.expression) return isEmptyCollection(init.expression)
  return (
    init?.type === 'NewExpression' &&
    COLLECTIONS.test(init.callee?.name ?? '') &&
    init.arguments!.length === 0
  )
}

function hasReason({ sourceCode }: Context, statement: Node): boolean {
  return sourceCode.getCommentsBefore(statement).some(({ value }) => /^\s*share-nothing: \S.{9}/.test(value))
}
