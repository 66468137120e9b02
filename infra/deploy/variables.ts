import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describeEnv, type VariableDescription } from '@repo/config'
import type { TObject } from 'typebox'
import { databaseApps, nameOfApp } from '../databases.ts'
import type { Formation, ProcessType } from '../formation.ts'
import { environmentOf } from './platform.ts'

/** One variable of one process type, and where its value comes from. */
export interface Variable extends VariableDescription {
  /** Where a platform keeps the value of a secret. Undefined when it is not a secret. */
  kept?: { store: string; key: string }
}

/** By the name of a process type: the variables that it reads, in the order of its schema. */
export type VariablesOf = ReadonlyMap<string, readonly Variable[]>

/**
 * The variables that each process type's schema declares. For the entry `src/worker.ts` the schema is the export `workerEnv`
 * of the app's `src/env.ts` or `src/worker-env.ts`, otherwise `envSchema`, which is for all entries of an app. The variables of
 * a release depend on the apps, so its export is a function: `migrateEnvOf` gets the names of the apps that have tables.
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

/** The variables of a process type that are secrets. */
export function secretsOf(
  { name }: ProcessType,
  variables: VariablesOf,
): (Variable & Required<Pick<Variable, 'kept'>>)[] {
  return (variables.get(name) ?? []).filter((one) => one.kept !== undefined) as ReturnType<typeof secretsOf>
}

/** Variables with one value for all processes of a deployment. A platform keeps them in one place. */
const SHARED = ['PUBLIC_ORIGIN', 'MAIL_FROM']

/** Whether a process reads this variable. */
export function reads({ name }: ProcessType, variable: string, variables: VariablesOf): boolean {
  return (variables.get(name) ?? []).some((one) => one.name === variable)
}

/** The required variables that are not secrets and that the platform does not set: an operator must set them. */
export function openVariables(type: ProcessType, formation: Formation, variables: VariablesOf): Variable[] {
  const given = [...Object.keys(environmentOf(type, formation)), ...SHARED]
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

/** .env.example. Required variables come first and are not commented out, so that a copy of the file can be filled in. */
export function renderEnvExample(formation: Formation, variables: VariablesOf): string {
  const known = new Map<string, { variable: Variable; apps: Set<string> }>()
  for (const type of [...formation.release, ...formation.running]) {
    for (const variable of variables.get(type.name) ?? []) {
      const found = known.get(variable.name) ?? { variable, apps: new Set() }
      // A process type that requires the variable describes it.
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
    '# `pnpm dev` needs none of them, and reads those in a file `.env` here. A process that lacks one says so and exits with code 78.',
    '',
    ...required!.flatMap(describe),
    '# The following are optional. A value that is shown is the default.',
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
