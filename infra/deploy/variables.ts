import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describeEnv, type VariableDescription } from '@repo/config'
import type { TObject } from 'typebox'
import { databaseApps, nameOfApp } from '../databases.ts'
import type { Formation, ProcessType } from '../formation.ts'
import { environmentOf } from './platform.ts'

/** One variable of one process, and where it comes from. */
export interface Variable extends VariableDescription {
  /** Where a platform keeps it, when nobody else may see it. */
  kept?: { store: string; key: string }
}

/** What a process type reads from its environment, in the order of its schema. */
export type VariablesOf = ReadonlyMap<string, readonly Variable[]>

/**
 * Of each process type, by its name, what the schema of its entry declares: for `src/worker.ts` that is the export `workerEnv` of the
 * app's `src/env.ts`, or of `src/worker-env.ts`, or `envSchema`, which is for all entries of an app. What a release reads depends
 * on which apps there are, so its export is a function of them: `migrateEnvOf`.
 */
export async function readVariables(root: string, formation: Formation): Promise<VariablesOf> {
  const variables = new Map<string, readonly Variable[]>()
  for (const type of [...formation.release, ...formation.running]) {
    const schema = await readSchema(root, type, formation)
    const described = schema ? describeEnv(schema) : []
    variables.set(
      type.name,
      described.map(({ secret, ...rest }) => {
        const kept = secret && keptIn(secret, rest.name, nameOfApp(type))
        return { ...rest, ...(secret && { secret }), ...(kept && { kept }) }
      }),
    )
  }
  return variables
}

/** Those of a process that nobody else may see. */
export function secretsOf(
  { name }: ProcessType,
  variables: VariablesOf,
): (Variable & Required<Pick<Variable, 'kept'>>)[] {
  return (variables.get(name) ?? []).filter((one) => one.kept !== undefined) as ReturnType<typeof secretsOf>
}

/** What a process must be told by whoever deploys it, and is no secret: what the platform says already is left out. */
export function openVariables(type: ProcessType, formation: Formation, variables: VariablesOf): Variable[] {
  const given = [...Object.keys(environmentOf(type, formation)), 'PUBLIC_ORIGIN']
  const described = variables.get(type.name) ?? []
  return described.filter((one) => one.isRequired && !one.kept && !given.includes(one.name))
}

export function isRelease({ name }: ProcessType, { release }: Formation): boolean {
  return release.some((type) => type.name === name)
}

function keptIn(
  secret: NonNullable<VariableDescription['secret']>,
  name: string,
  app: string,
): { store: string; key: string } {
  if (secret === true) return { store: app, key: name }
  return typeof secret === 'string' ? { store: secret, key: name } : secret
}

async function readSchema(
  root: string,
  { app, entry }: ProcessType,
  formation: Formation,
): Promise<TObject | undefined> {
  const name = basename(entry, '.ts')
  const files = ['src/env.ts', `src/${name}-env.ts`].filter((file) => existsSync(join(root, app, file)))
  const modules = await Promise.all(
    files.map((file) => import(join(root, app, file)) as Promise<Record<string, unknown>>),
  )
  const exported: Record<string, unknown> = Object.assign({}, ...modules)
  const made = exported[`${name}EnvOf`]
  if (typeof made === 'function') return made(databaseApps(formation)) as TObject
  return (exported[`${name}Env`] ?? exported['envSchema']) as TObject | undefined
}

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
