import { Refusal } from './change.ts'
import { addImport, editSource, insertSorted, type Edit } from './edit-source.ts'
import { rename } from './names.ts'
import { GENERATE } from './plan-service.ts'
import { readTemplate, type Capability, type Files, type Manifest } from './template.ts'

/** An app in memory. The functions of this file change it. */
export interface App {
  name: string
  folder: string
  files: Files
  manifest: Manifest
}

/** The capabilities that an app has already, and whether it answers requests. */
export type Has = Record<Capability | 'server', boolean>

export const ENV = 'src/env.ts'
const WORKER_ENV = 'src/worker-env.ts'

export function addSession(app: App, has: Has): void {
  if (!has.server) {
    throw new Refusal(
      `Nobody signs in to a worker, and apps/${app.name} has no process that answers requests.`,
    )
  }
  // The worker reads the same variables as before, and none of sessions.
  if (has.queue && !app.files.has(WORKER_ENV)) separateWorkerEnv(app)
  edit(
    app,
    ENV,
    [['Type.Object({ ...serviceEnv', /\.\.\.serviceEnv/, (found) => `${found}, ...sessionEnv`]],
    "import { sessionEnv } from '@repo/session'",
  )
  const block = /^ {2}await app\.register\(session, \{[\s\S]*?\n {2}\}\)\n/m
  const [registration] = block.exec(sourceOf('session', 'src/app.ts'))!
  openInServer(app, 'session', 'sessions')
  edit(
    app,
    'src/app.ts',
    [
      [
        'const app = createService({ ... })',
        /( {2}const app = createService\([\s\S]*?\}\)\n)\n?/,
        (_, made) => `${made}\n${registration}`,
      ],
    ],
    "import { session } from '@repo/session'",
  )
  take(app, 'session', 'test/signed-in.ts')
  needInServer(app, 'session')
}

export function addDatabase(app: App, notes: string[]): void {
  edit(
    app,
    ENV,
    [
      [
        'Type.Object({ ...serviceEnv',
        /\.\.\.serviceEnv(,\s*\.\.\.sessionEnv)?/,
        (found) => `${found}, ...databaseEnv`,
      ],
    ],
    "import { databaseEnv } from '@repo/database'",
  )
  openInServer(app, 'database', 'database')
  take(app, 'database', 'src/database.ts')
  take(app, 'database', 'schema.prisma', (text) => text.replace(/\nmodel [\s\S]*?\n\}\n/g, ''))
  const { test, ...scripts } = app.manifest.scripts ?? {}
  app.manifest = { ...app.manifest, scripts: { ...scripts, generate: GENERATE, ...(test && { test }) } }
  needInServer(app, 'database')
  notes.push(`Its tables are declared in ${app.folder}/schema.prisma; pnpm migrate new writes the migration.`)
}

/** Adds a process that runs the jobs of the app: those that it defines already, and later ones. */
export function addWorker(app: App, has: Has, notes: string[]): void {
  if (has.session) separateWorkerEnv(app)
  const template = has.session ? 'queue-session' : 'queue'
  const handlers = [...app.files].flatMap(([path, text]) => {
    const name = path.startsWith('src/jobs/') && /^export function (handle\w+)\(\)/m.exec(text)?.[1]
    return name ? [{ name, line: `import { ${name} } from '${path.replace('src/', './')}'` }] : []
  })
  take(app, template, 'src/worker.ts')
  take(app, template, 'src/start-jobs.ts', (text) => {
    const calls = handlers.map(({ name }) => `${name}()`).join(', ')
    const bare = text
      .replace(/^import .* '\.\/jobs\/.*\n/m, '')
      .replace(/jobs: \[[^\]]*\]/, `jobs: [${calls}]`)
    return handlers.reduce((edited, { line }) => addImport(edited, line)!, bare)
  })
  const worker = `${app.name}-worker`
  app.manifest = {
    ...app.manifest,
    scripts: {
      ...app.manifest.scripts,
      dev: `${app.manifest.scripts?.dev ?? 'node ../../infra/dev/main.ts'} ${worker}`,
    },
    processes: { ...app.manifest.processes, [worker]: { entry: 'src/worker.ts', needs: ['database'] } },
  }
  if (handlers.length === 0) notes.push(`Its first job comes by pnpm new job ${app.name}/<name>.`)
}

/** Adds a resource to the HTTP process: it is opened, passed to the app, and checked by `/readyz`. */
function openInServer(app: App, template: 'database' | 'session', resource: 'database' | 'sessions'): void {
  if (app.files.has('src/resources.ts')) addResource(app, template, resource)
  else {
    take(app, template, 'src/resources.ts')
    const isAsMade =
      comparable(app.files.get('src/server.ts')!) === comparable(sourceOf('http', 'src/server.ts'))
    if (!isAsMade)
      throw new Refusal(`${app.folder}/src/server.ts is not as it was made. Nothing was changed.`)
    app.files.set('src/server.ts', sourceOf(template, 'src/server.ts'))
  }
  const edits: Edit[] = [
    [
      'buildApp(env: Env)',
      /buildApp\(env: Env(?:, \{ ([^}]*) \}: Resources)?\)/,
      (_, names = '') => `buildApp(env: Env, { ${insertSorted(names, resource)} }: Resources)`,
    ],
    [
      'createService({ ... })',
      /createService\(\{([\s\S]*?)(?:,\s*checks: \{ ([^}]*) \})?,?\s*\}\)/,
      (_, options, checks = '') =>
        `createService({${options}, checks: { ${insertSorted(checks, resource)} } })`,
    ],
  ]
  edit(app, 'src/app.ts', edits, "import type { Resources } from './resources.ts'")
}

/** Adds a resource to src/resources.ts, with the lines of the template. */
function addResource(app: App, template: 'database' | 'session', resource: 'database' | 'sessions'): void {
  const text = sourceOf(template, 'src/resources.ts')
  const lineOf = (pattern: string): string => new RegExp(pattern, 'm').exec(text)![0]
  const [member, opening] = [lineOf(`^  ${resource}: .*$`), lineOf(`^  const ${resource} = .*$`)]
  const edits: Edit[] = [
    [
      'interface Resources extends AsyncDisposable',
      /(extends AsyncDisposable \{\n)([\s\S]*?)(?=\n\})/,
      (_, start, members) => `${start}${[...members!.split('\n'), member].sort().join('\n')}`,
    ],
    ['const held = opened.move()', /\n {2}const held = /, (found) => `\n${opening}${found}`],
    [
      'return { ..., [Symbol.asyncDispose]',
      /return \{ ([\w, ]*), \[/,
      (_, names) => `return { ${insertSorted(names!, resource)}, [`,
    ],
  ]
  edit(app, 'src/resources.ts', edits, lineOf('^import .*open(SessionStore|Database)\\b.*$'))
}

/** Adds a store to the declared `needs` of the HTTP process. */
function needInServer(app: App, need: 'database' | 'session'): void {
  const processes = Object.entries(app.manifest.processes!).map(([name, declared]) =>
    declared.route === undefined
      ? [name, declared]
      : [name, { ...declared, needs: [...new Set([...(declared.needs ?? []), need])].sort() }],
  )
  app.manifest = { ...app.manifest, processes: Object.fromEntries(processes) }
}

/** Gives the worker variables of its own: those of the app, without those of sessions. */
function separateWorkerEnv(app: App): void {
  const env = app.files.get(ENV)!
  const withoutSessions = env
    .replace(/^import .*'@repo\/session'\n/m, '')
    .replace(/,\s*\.\.\.sessionEnv/, '')
    .replace(/^\/\*\* Every variable .* \*\/$/m, '/** Every variable the worker reads. */')
  app.files.set(WORKER_ENV, toWorkerEnv(withoutSessions))
  app.files.set(ENV, env.replace('variable this app reads', 'variable the HTTP process reads'))
  for (const path of ['src/worker.ts', 'src/start-jobs.ts']) {
    const source = app.files.get(path)
    if (source) app.files.set(path, toWorkerEnv(source))
  }
}

function toWorkerEnv(text: string): string {
  return text
    .replaceAll(/\bEnv\b/g, 'WorkerEnv')
    .replaceAll(/\benvSchema\b/g, 'workerEnv')
    .replaceAll("'./env.ts'", "'./worker-env.ts'")
}

function sourceOf(template: string, path: string): string {
  return readTemplate(template).files.get(path)!
}

/** Adds a file of the template to the app. @throws {Refusal} when the app has that file */
function take(app: App, template: string, path: string, change = (text: string): string => text): void {
  if (app.files.has(path)) throw new Refusal(`It is taken: ${app.folder}/${path} is there.`)
  const text = change(sourceOf(template, path))
  app.files.set(path, rename(text, 'any-name', app.name))
}

function edit(app: App, path: string, edits: readonly Edit[], line: string): void {
  const place = `${app.folder}/${path}`
  const text = editSource(place, app.files.get(path) ?? '', edits)
  app.files.set(path, addImport(text, line) ?? text)
}

/** The text without its line breaks and indentation, which may differ. */
function comparable(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}
