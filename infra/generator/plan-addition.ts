import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { addDatabase, addSession, addWorker, ENV, type App, type Has } from './add-capability.ts'
import { Refusal, type Change, type Step } from './change.ts'
import { deriveWith } from './derived-files.ts'
import { addImporter } from './lockfile.ts'
import { linkDependencies } from './plan-service.ts'
import {
  formatFiles,
  missingDependencies,
  readFolder,
  readTemplate,
  richest,
  type Capability,
  type Files,
  type Manifest,
} from './template.ts'

const WORDS = { database: 'tables of its own', session: 'sessions', queue: 'a worker' }

/**
 * Plans a new capability for an existing app: the wiring as `pnpm new --with` gives it, without the example. The code of the
 * app stays as it is.
 *
 * @throws {Refusal} when the app has that already, or a file of its wiring no longer has the form of a new service
 */
export async function planAddition(
  root: string,
  name: string,
  capability: Capability,
): Promise<Change & { links: Files }> {
  const before = readApp(root, name)
  const has = capabilitiesOf(before)
  if (has[capability]) throw new Refusal(`apps/${name} has ${WORDS[capability]} already.`)
  const app = { ...before, files: new Map(before.files) }
  const notes: string[] = []
  if (capability === 'session') addSession(app, has)
  else {
    if (!has.database) addDatabase(app, notes)
    if (capability === 'queue') addWorker(app, has, notes)
  }
  const missing = newDependencies(app)
  app.manifest = withDependencies(app.manifest, missing)
  const links = linkDependencies(root, app.folder, richest, missing)
  app.files.set('package.json', JSON.stringify(app.manifest))

  const changed = new Map([...app.files].filter(([path, text]) => before.files.get(path) !== text))
  const formatted = await formatFiles(root, changed)
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  const steps: Step[] = [
    ...(await deriveWith(root, {
      folder: app.folder,
      processes: app.manifest.processes!,
      files: formatted,
      links,
    })),
    { write: 'pnpm-lock.yaml', content: addImporter(lockfile, app.folder, app.manifest), before: lockfile },
    // package.json, which declares the processes, comes last: when `pnpm dev` sees it, the other files are in place.
    ...[...formatted]
      .sort(([a], [b]) => Number(a === 'package.json') - Number(b === 'package.json'))
      .map(([path, content]) => ({
        write: `${app.folder}/${path}`,
        content,
        before: before.files.get(path),
      })),
  ]
  return { steps, notes, links }
}

function readApp(root: string, name: string): App {
  const folder = `apps/${name}`
  const files = readFolder(join(root, folder))
  const manifest = JSON.parse(files.get('package.json')!) as Manifest
  if (!manifest.processes || !files.has(ENV)) {
    throw new Refusal(
      `apps/${name} is not in the form that new services have: it has no processes, or no ${ENV}.`,
    )
  }
  return { name, folder, files, manifest }
}

function capabilitiesOf({ manifest }: App): Has {
  const processes = Object.values(manifest.processes!)
  const isNeeded = (need: 'database' | 'session'): boolean =>
    processes.some(({ needs }) => needs?.includes(need))
  return {
    server: processes.some(({ route }) => route !== undefined),
    database: isNeeded('database'),
    session: isNeeded('session'),
    queue: processes.some(({ entry }) => entry === 'src/worker.ts'),
  }
}

/** The dependencies of the template with everything that this app imports now and does not declare yet. */
function newDependencies({ files, manifest }: App): Manifest {
  const { dependencies, devDependencies } = readTemplate(richest).manifest
  return {
    name: manifest.name,
    dependencies: missingDependencies(files, dependencies, manifest),
    devDependencies: missingDependencies(files, devDependencies, manifest),
  }
}

function withDependencies(manifest: Manifest, more: Manifest): Manifest {
  return {
    ...manifest,
    dependencies: sorted({ ...manifest.dependencies, ...more.dependencies }),
    devDependencies: sorted({ ...manifest.devDependencies, ...more.devDependencies }),
  }
}

function sorted(dependencies: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(dependencies).sort(([a], [b]) => (a < b ? -1 : 1)))
}
