import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describeEnv } from '@repo/config'
import type { TObject } from 'typebox'
import { databaseApps, nameOfApp } from '../databases.ts'
import type { Formation } from '../formation.ts'

/** One variable, and the apps that read it. */
export type Variable = ReturnType<typeof describeEnv>[number] & { apps: string[] }

/**
 * Every variable of every app: what the schemas in their `env.ts` declare, each name once. What a release reads depends on which apps
 * there are, so its `env.ts` says it by a function of them.
 */
export async function readVariables(root: string, formation: Formation): Promise<Map<string, Variable>> {
  const { release, running } = formation
  const variables = new Map<string, Variable>()
  for (const app of new Set([...release, ...running].map(({ app }) => app))) {
    const file = join(root, app, 'src/env.ts')
    if (!existsSync(file)) continue
    const { envSchemaOf, ...rest } = (await import(file)) as Record<string, unknown>
    const made = typeof envSchemaOf === 'function' ? [envSchemaOf(databaseApps(formation))] : []
    const schemas = [...Object.values(rest), ...made].filter(isSchema)
    for (const described of schemas.flatMap((schema) => describeEnv(schema))) {
      const apps = variables.get(described.name)?.apps ?? []
      const name = nameOfApp({ app })
      variables.set(described.name, { ...described, apps: apps.includes(name) ? apps : [...apps, name] })
    }
  }
  return variables
}

/** What a deployment sets. Required ones come first and stand open, so that a copy of the file is a form to fill in. */
export async function renderEnvExample(root: string, formation: Formation): Promise<string> {
  // PROCESS_NAME is for development alone.
  const variables = [...(await readVariables(root, formation)).values()].filter(
    ({ name }) => name !== 'PROCESS_NAME',
  )
  const [required, optional] = [true, false].map((isRequired) =>
    variables.filter((variable) => variable.isRequired === isRequired),
  )
  return [
    '# Every variable that processes read. Written by `pnpm infra` from the schemas in apps/*/src/env.ts.',
    '# `pnpm dev` needs none of them. A process that misses one says so and ends with 78.',
    '',
    ...required!.flatMap(describe),
    '# From here on each has the default that it shows, or may be missing.',
    '',
    ...optional!.flatMap(describe),
  ].join('\n')
}

function describe(variable: Variable): string[] {
  const { name, description, expected, expectedInProduction, isRequired, apps } = variable
  const value = `${name}=${variable.default ?? ''}`
  return [
    `# ${description}`,
    `# ${expectedInProduction ?? expected} (${apps.join(', ')})`,
    isRequired ? value : `#${value}`,
    '',
  ]
}

function isSchema(value: unknown): value is TObject {
  return typeof value === 'object' && value !== null && 'properties' in value
}
