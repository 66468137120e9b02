import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Type, type Static, type TSchema } from 'typebox'
import { Check } from 'typebox/value'

/** One entry of `processes` in an app's package.json, under the name of the process type. */
export const Declaration = Type.Object({
  entry: Type.String({
    pattern: '^src/.+\\.ts$',
    description: 'the file that Node runs, relative to the folder of the app, such as src/server.ts',
  }),
  route: Type.Optional(
    Type.String({
      pattern: '^/([a-z0-9-]+(/[a-z0-9-]+)*)?$',
      description:
        'the path that it answers, with all paths below it, such as /api/orders; / makes it the public edge; without a path it is a worker',
    }),
  ),
  needs: Type.Optional(
    Type.Array(Type.Union([Type.Literal('database'), Type.Literal('session'), Type.Literal('mail')]), {
      uniqueItems: true,
      description:
        'what it is attached to: "database" is DATABASE_URL, "session" SESSION_STORE_URL and SESSION_SECRETS, "mail" MAIL_URL and MAIL_FROM',
    }),
  ),
  calls: Type.Optional(
    Type.Array(Type.String(), {
      uniqueItems: true,
      description:
        'the process types that it sends requests to, by their names, such as catalog: UPSTREAMS tells it their addresses',
    }),
  ),
  page: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9-]+$',
      description:
        'the folder of the page it serves, which the `page` script of the app builds into dist/<page>',
    }),
  ),
  memoryMiB: Type.Optional(
    Type.Integer({
      minimum: 64,
      description: 'the memory limit of its container, from what was measured; default 256',
    }),
  ),
  scratchMiB: Type.Optional(
    Type.Integer({
      minimum: 64,
      description:
        'the disk space of its temporary files; without it /tmp is small, and in Compose a part of the memory',
    }),
  ),
  reaches: Type.Optional(
    Type.Array(Type.String({ pattern: '^(\\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?):\\d{1,5}$' }), {
      uniqueItems: true,
      description:
        'what it calls on the public internet, each with its port, such as smtp.example.com:587, or *:443 for any host; without it, a process reaches no more than what it needs',
    }),
  ),
  release: Type.Optional(
    Type.Boolean({
      description: 'true if it runs once per release, and exits before any other process starts',
    }),
  ),
})

/** A backing service in `needs`. */
export type Need = 'database' | 'session' | 'mail'

/** One process type: a program that is started, scaled and stopped independently of all others. */
export interface ProcessType extends Omit<
  Static<typeof Declaration>,
  'needs' | 'calls' | 'release' | 'memoryMiB' | 'reaches'
> {
  /** Unique in the formation; also its host name in a network of containers. */
  readonly name: string
  /** The folder of its app, relative to the root of the repository, as `apps/orders`. */
  readonly app: string
  readonly needs: readonly Need[]
  readonly calls: readonly string[]
  readonly reaches: readonly string[]
  /** The memory limit of its container. */
  readonly memoryMiB: number
}

/**
 * Node's flags that limit V8. Without them, it would use the machine's memory before it collects garbage. Half of the memory
 * is for the old generation, as V8 would choose in a container of that size. The rest is for buffers, code and other
 * threads. A young generation of 6 MiB is enough for requests that leave few objects.
 *
 * @see https://nodejs.org/api/cli.html#--max-semi-space-sizesize-in-mib
 */
export function heapFlags({ memoryMiB }: Pick<ProcessType, 'memoryMiB'>): string[] {
  return [`--max-old-space-size=${Math.floor(memoryMiB / 2)}`, '--max-semi-space-size=2']
}

/** The list of all process types. Each of its two parts is sorted by name. */
export interface Formation {
  /** Run once, in this order, before the others start. */
  readonly release: readonly ProcessType[]
  readonly running: readonly ProcessType[]
}

/** All problems of the declarations, one line for each. */
class FormationError extends Error {
  override readonly name = 'FormationError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

// The name of a process type is also a DNS label, an image's name and the prefix of a log line.
const NAME = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/

/**
 * Reads the `processes` of each app's package.json. Development, Procfile, compose, manifests and the edge's upstreams are
 * all derived from this list, so a new service is only a new folder.
 *
 * @throws {FormationError} with the file, process and field of each problem
 */
export function readFormation(root: string): Formation {
  const problems: string[] = []
  const release: ProcessType[] = []
  const running: ProcessType[] = []

  for (const app of listApps(root)) {
    const file = `${app}/package.json`
    for (const [name, declaration] of Object.entries(readProcesses(root, file, problems))) {
      const where = `${file}: processes.${name}`
      const found = declarationProblems(root, app, name, declaration)
      problems.push(...found.map((problem) => `${where}${problem}`))
      if (found.length > 0) continue
      const { release: isRelease, ...rest } = declaration as Static<typeof Declaration>
      const list = isRelease ? release : running
      list.push(processTypeOf(app, name, rest))
    }
  }

  const all = [...release, ...running]
  problems.push(...sharedValues(all, 'name'), ...sharedValues(all, 'route'), ...unknownCallees(all))
  if (problems.length > 0) throw new FormationError(problems)
  return { release: release.sort(byName), running: running.sort(byName) }
}

/** The process type of a declaration, with the defaults: no `needs`, no `calls`, no `reaches`, 256 MiB. */
export function processTypeOf(
  app: string,
  name: string,
  declaration: Omit<Static<typeof Declaration>, 'release'>,
): ProcessType {
  return { needs: [], calls: [], reaches: [], memoryMiB: 256, ...declaration, name, app }
}

/** The edge: the process type with the route `/`, which answers every path that no other has. Undefined without one. */
export function frontDoor(formation: Formation): ProcessType | undefined {
  return formation.running.find(({ route }) => route === '/')
}

/** The process types that a type sends requests to: of the edge all that have a route, otherwise those that it calls. */
export function calleesOf(type: ProcessType, { running }: Formation): ProcessType[] {
  const services = running.filter(({ route }) => route !== undefined && route !== '/')
  return type.route === '/' ? services : services.filter(({ name }) => type.calls.includes(name))
}

/** Whether a type is told in UPSTREAMS where others are. */
export function hasUpstreams({ route, calls }: ProcessType): boolean {
  return route === '/' || calls.length > 0
}

/**
 * The variable UPSTREAMS of a process type that sends requests to others: the route of each callee, and the URLs of its processes.
 * Empty for any other type.
 *
 * @param urlsOf the base URLs of a type's processes, which are joined with `|`
 */
export function upstreamsOf(
  type: ProcessType,
  formation: Formation,
  urlsOf: (type: ProcessType) => readonly string[],
): { UPSTREAMS?: string } {
  if (!hasUpstreams(type)) return {}
  const routes = calleesOf(type, formation).map((callee) => `${callee.route}=${urlsOf(callee).join('|')}`)
  return { UPSTREAMS: routes.join(',') }
}

function listApps(root: string): string[] {
  return readdirSync(join(root, 'apps'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, 'apps', entry.name, 'package.json')))
    .map((entry) => `apps/${entry.name}`)
    .sort()
}

function readProcesses(root: string, file: string, problems: string[]): Record<string, unknown> {
  try {
    const { processes = {} } = JSON.parse(readFileSync(join(root, file), 'utf8')) as { processes?: unknown }
    if (typeof processes === 'object' && processes !== null && !Array.isArray(processes)) {
      return processes as Record<string, unknown>
    }
    problems.push(`${file}: processes must be an object of name and declaration`)
  } catch (error) {
    problems.push(`${file}: ${(error as Error).message}`)
  }
  return {}
}

function declarationProblems(root: string, app: string, name: string, declaration: unknown): string[] {
  const problems: string[] = []
  if (!NAME.test(name)) problems.push(': expected a name of lower case letters, digits and hyphens')
  if (typeof declaration !== 'object' || declaration === null) return [...problems, ': expected an object']

  const given = declaration as Record<string, unknown>
  const fields = Object.entries<TSchema & { description?: string }>(Declaration.properties)
  const names = fields.map(([field]) => field)
  for (const field of Object.keys(given)) {
    if (!names.includes(field)) problems.push(`.${field} is no field: there are ${names.join(', ')}`)
  }
  for (const [field, schema] of fields) {
    const isAbsent = given[field] === undefined && !Declaration.required.includes(field as 'entry')
    if (!isAbsent && !Check(schema, given[field])) problems.push(`.${field}: expected ${schema.description}`)
  }
  if (problems.length > 0) return problems

  const {
    entry,
    page,
    route,
    release,
    needs = [],
    calls = [],
    reaches = [],
  } = given as Static<typeof Declaration>
  if (!existsSync(join(root, app, entry))) problems.push(`.entry: there is no ${entry}`)
  if (page && !existsSync(join(root, app, page))) problems.push(`.page: there is no ${page}`)
  if (route === '/' && calls.length > 0)
    problems.push('.calls: the public edge reaches every service without it')
  if (release && calls.length > 0) problems.push('.calls: a release process runs before any other')
  if (release && route) problems.push('.route: a release process runs to its end and answers nothing')
  // Nearly every mail server is on the public internet, which the network policy closes without this.
  if (needs.includes('mail') && reaches.length === 0) {
    problems.push('.reaches: it needs mail, so expected its mail server, as smtp.example.com:587, or *:587')
  }
  return problems
}

function sharedValues(types: readonly ProcessType[], field: 'name' | 'route'): string[] {
  const groups = Map.groupBy(
    types.filter((type) => type[field] !== undefined),
    (type) => type[field],
  )
  return [...groups]
    .filter(([, group]) => group.length > 1)
    .map(([value, group]) => {
      const files = group.map(({ app, name }) => `${app}/package.json: processes.${name}`)
      return `${files.join(' and ')} have the same ${field} ${value}`
    })
}

/** Calls to a type that answers no requests. A cycle of calls is allowed: no process waits for another one to start. */
function unknownCallees(all: readonly ProcessType[]): string[] {
  const services = all.filter(({ route }) => route !== undefined && route !== '/').map(({ name }) => name)
  return all.flatMap(({ app, name, calls }) => {
    const unknown = calls.filter((callee) => callee === name || !services.includes(callee))
    const others = services.filter((service) => service !== name).join(', ') || 'none'
    return unknown.map(
      (callee) =>
        `${app}/package.json: processes.${name}.calls: no other process type with a route is called ${callee}: there are ${others}`,
    )
  })
}

function byName(a: ProcessType, b: ProcessType): number {
  return a.name < b.name ? -1 : 1
}
