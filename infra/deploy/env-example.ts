import { nameOfApp } from '../databases.ts'
import type { Formation } from '../formation.ts'
import type { Variable, VariablesOf } from './variables.ts'

/** What a deployment sets. Required ones come first and stand open, so that a copy of the file is a form to fill in. */
export function renderEnvExample(formation: Formation, variables: VariablesOf): string {
  const known = new Map<string, { variable: Variable; apps: Set<string> }>()
  for (const type of [...formation.release, ...formation.running]) {
    for (const variable of variables.get(type.name) ?? []) {
      const found = known.get(variable.name) ?? { variable, apps: new Set() }
      // Who cannot do without it says how it must be.
      if (variable.isRequired) found.variable = variable
      found.apps.add(nameOfApp(type))
      known.set(variable.name, found)
    }
  }
  // PROCESS_NAME is for development alone.
  known.delete('PROCESS_NAME')
  const [required, optional] = [true, false].map((isRequired) =>
    [...known.values()].filter(({ variable }) => variable.isRequired === isRequired),
  )
  return [
    '# Every variable that processes read. Written by `pnpm infra` from the schemas in apps/*/src/env.ts.',
    '# `pnpm dev` needs none of them, and reads those that stand in a file `.env` here. A process that misses one says so and ends with 78.',
    '',
    ...required!.flatMap(describe),
    '# From here on each has the default that it shows, or may be missing.',
    '',
    ...optional!.flatMap(describe),
  ].join('\n')
}

function describe({ variable, apps }: { variable: Variable; apps: ReadonlySet<string> }): string[] {
  const { name, description, expected, expectedInProduction, isRequired, kept, inDevelopment } = variable
  const value = `${name}=${variable.default ?? ''}`
  const words = [
    expectedInProduction ?? expected,
    ...(kept ? ['secret'] : []),
    ...(inDevelopment === undefined ? [] : [`in development ${inDevelopment}`]),
  ]
  return [
    `# ${description}`,
    `# ${words.join('; ')} (${[...apps].join(', ')})`,
    isRequired ? value : `#${value}`,
    '',
  ]
}
