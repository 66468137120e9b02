import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal, type Change, type Step } from './change.ts'
import { addImport } from './edit-source.ts'
import { camelCase, pascalCase, rename } from './names.ts'
import {
  formatFiles,
  hasJobs,
  missingDependencies,
  readTemplate,
  type Files,
  type Manifest,
} from './template.ts'

/** A route or a job in an existing app. */
export interface Part {
  kind: 'route' | 'job'
  app: string
  name: string
}

/**
 * Plans a new file in `routes/` or `jobs/`, its test, and the line that registers it in src/app.ts or src/start-jobs.ts.
 *
 * @throws {Refusal} when the app has no process for it or lacks a dependency, a file exists already, or the file that
 * registers it has another form
 */
export async function planPart(root: string, { kind, app, name }: Part): Promise<Change> {
  const folder = `apps/${app}`
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest
  const types = Object.entries(manifest.processes ?? {})
  const server = types.find(([, { route }]) => route && route !== '/')
  const worker = types.find(([, { entry }]) => entry === 'src/worker.ts')
  const isPersonal = manifest.dependencies?.['@repo/session'] !== undefined
  const from = kind === 'route' && isPersonal ? 'own-part' : 'any-part'
  if (kind === 'route' && !server) throw new Refusal(`${app} has no process that answers requests.`)
  if (kind === 'job' && !(hasJobs && worker)) {
    throw new Refusal(`${app} has no worker to run a job. A service of --kind http+worker has one.`)
  }
  const template = readTemplate(kind === 'route' ? 'part' : 'worker')
  const sources: [from: string, to: string][] =
    kind === 'route'
      ? [
          [`src/routes/${from}.ts`, `src/routes/${name}.ts`],
          [`test/${from}.test.ts`, `test/${name}.test.ts`],
        ]
      : [
          [`src/jobs/${from}.ts`, `src/jobs/${name}.ts`],
          ['test/worker.test.ts', `test/${name}-job.test.ts`],
        ]

  const files = new Map<string, string>()
  for (const [path, target] of sources) {
    const text = template.files
      .get(path)!
      .replaceAll("'/api/any-name/", `'${server?.[1].route}/`)
      .replaceAll("process: 'any-name-worker'", `process: '${worker?.[0]}'`)
      .replaceAll("process: 'any-name'", `process: '${server?.[0]}'`)
      .replaceAll('`any-name.$', `\`${server?.[0]}.$`)
    files.set(target, rename(rename(text, from, name), 'any-name', app))
  }
  for (const path of files.keys()) {
    if (existsSync(join(root, folder, path))) throw new Refusal(`It is taken: ${folder}/${path} is there.`)
  }
  assertDependencies(files, template.manifest, manifest, app)

  const steps: Step[] = [...(await formatFiles(root, files))].map(([path, content]) => ({
    write: `${folder}/${path}`,
    content,
    before: undefined,
  }))
  const list = kind === 'route' ? `${folder}/src/app.ts` : `${folder}/src/start-jobs.ts`
  const before = existsSync(join(root, list)) ? readFileSync(join(root, list), 'utf8') : ''
  const registered =
    kind === 'route' ? addRoute(before, `${server![1].route}/${name}`, name) : addJob(before, name)
  if (!registered) {
    throw new Refusal(
      `${list} is not in the form that new services have, so nothing can be added to it. A ${kind} is ` +
        `registered there by hand; ${kind === 'route' ? 'docs/architecture.md' : 'packages/queue/README.md'} shows how.`,
    )
  }
  const [[, content]] = [...(await formatFiles(root, new Map([[list, registered]])))] as [[string, string]]
  return { steps: [...steps, { write: list, content, before }], notes: [] }
}

/** Registers the route after the last one, before `return app`. Undefined when the file has another form. */
function addRoute(text: string, prefix: string, name: string): string | undefined {
  const register = `  await app.register(${camelCase(name)}Routes, { prefix: '${prefix}' })\n`
  const withImport = addImport(text, `import { ${camelCase(name)}Routes } from './routes/${name}.ts'`)
  const end = /\n*\n {2}return app\n\}/
  return withImport && end.test(withImport)
    ? withImport.replace(end, (found) => `\n${register}${found.replace(/^\n+/, '\n')}`)
    : undefined
}

/** Adds the job as the first of the list for `runJobs`. Undefined when the file has another form. */
function addJob(text: string, name: string): string | undefined {
  const withImport = addImport(text, `import { handle${pascalCase(name)} } from './jobs/${name}.ts'`)
  const list = /\bjobs: \[/
  return withImport && list.test(withImport)
    ? withImport.replace(list, (found) => `${found}handle${pascalCase(name)}(), `)
    : undefined
}

function assertDependencies(files: Files, template: Manifest, manifest: Manifest, app: string): void {
  const { dependencies, devDependencies } = template
  const missing = Object.keys(missingDependencies(files, { ...dependencies, ...devDependencies }, manifest))
  if (missing.length > 0)
    throw new Refusal(`apps/${app}/package.json lacks ${missing.join(', ')}, which it would need.`)
}
