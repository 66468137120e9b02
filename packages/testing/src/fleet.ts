import { randomBytes } from 'node:crypto'
import { glob, mkdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Agent, fetch } from 'undici'
import { openBrowser, type Browser, type FleetRequest, type FleetResponse } from './browser.ts'
import { createDatabase, sessionStoreUrl } from './create-database.ts'
import { openTemporaryFolder } from './open-temporary-folder.ts'
import { startCallees } from './start-callees.ts'
import { startProcess, type NodeProcess } from './start-process.ts'

type Environment = Record<string, string | undefined>

export interface FleetOptions {
  /** The process type, if the app declares several. Default: the first one. */
  process?: string
  /** Default: 2. */
  processes?: number
  /** Overrides the defaults for tests. */
  env?: Environment
  // keep: calls
  /** The process types that start this one because they call it. Where services call each other in a circle, it ends there. */
  callers?: readonly string[]
  // /keep
}

/** Several processes of one process type, numbered from 1. */
export interface Fleet extends AsyncDisposable {
  /** The environment of every process. A second fleet on the same stores gets `{ env: first.env }`. */
  readonly env: Readonly<Environment>
  /** Sends a request to the next running process, in strict turns. Redirects are not followed. */
  request(path: string, init?: FleetRequest): Promise<FleetResponse>
  browser(): Browser
  process(n: number): NodeProcess
  /** `kill -9`. */
  kill(n: number): Promise<void>
  /** Sends SIGTERM. Resolves to the exit code or signal. */
  stop(n: number): Promise<Awaited<NodeProcess['exited']>>
  /** Stops the process if it runs, and starts it again. Resolves when it is ready. */
  restart(n: number): Promise<void>
  // keep: calls
  /** The processes of a service that this one calls. */
  callee(name: string): Fleet
  // /keep
}

interface Member {
  running: NodeProcess
  agent: Agent
  isMeantToRun: boolean
}

/**
 * Starts real operating-system processes of an app, each on its own port, and waits until they are ready. They get what the
 * process type `needs`: a database, cloned from the migrated template, a session store, and a mail catcher. A test that reads mails
 * passes the `env` of its own catcher. The services that it `calls` are started first, two processes of each, with the same
 * session store; a test that starts them itself passes UPSTREAMS.
 *
 * They run under Node's permission model. Each may write only in its own temporary folder (TMPDIR), which is emptied between
 * requests, so that no file survives until the next request.
 *
 * Disposal stops them all, and throws when one had stopped by itself or did not exit with code 0.
 */
export async function fleet(appFolder: string | URL, options: FleetOptions = {}): Promise<Fleet> {
  const folder = resolve(appFolder instanceof URL ? fileURLToPath(appFolder) : appFolder)
  const type = await readProcessType(folder, options.process)
  await using starting = new AsyncDisposableStack()
  const env = await environmentFor(type, options.env ?? {}, starting)
  // keep: calls
  let callees: ReadonlyMap<string, Fleet> = new Map()
  if (type.calls.length > 0 && !env.UPSTREAMS) {
    const callers = [...(options.callers ?? []), type.name]
    const { SESSION_STORE_URL, SESSION_SECRETS } = env
    const shared = SESSION_STORE_URL ? { SESSION_STORE_URL, SESSION_SECRETS } : {}
    const startCallee = async (their: string, name: string): Promise<Fleet> =>
      starting.use(await fleet(their, { process: name, env: shared, callers }))
    const { started, upstreams } = await startCallees(type.calls, dirname(folder), callers, startCallee)
    callees = started
    env.UPSTREAMS = upstreams
  }
  // /keep
  const { path: temporary } = starting.use(await openTemporaryFolder('fleet'))
  const members: Member[] = []
  let turn = 0
  let inFlight = 0
  let emptied = Promise.resolve()

  async function start(n: number): Promise<void> {
    const name = `${type.name}.${n}`
    const { TMPDIR = join(temporary, name) } = env
    await mkdir(TMPDIR, { recursive: true })
    const running = await startProcess({
      name,
      cwd: folder,
      entry: type.entry,
      nodeArgs: ['--permission', '--allow-net', '--allow-fs-read=*', `--allow-fs-write=${TMPDIR}`],
      env: { PROCESS_NAME: name, TMPDIR, ...env },
    })
    members[n - 1] = { running, agent: new Agent(), isMeantToRun: true }
    await running.ready
  }

  function member(n: number): Member {
    const found = members[n - 1]
    if (!found) throw new RangeError(`${type.name} has processes 1 to ${members.length}, not ${n}`)
    return found
  }

  function next(): Member {
    const fromHere = members.map((_, i) => members[(turn + i) % members.length]!)
    const found = fromHere.find(({ isMeantToRun }) => isMeantToRun)
    if (!found) throw new Error(`No process of ${type.name} runs`)
    turn = members.indexOf(found) + 1
    return found
  }

  async function request(
    path: string,
    { json, process, ...init }: FleetRequest = {},
  ): Promise<FleetResponse> {
    const { running, agent } = process ? member(process) : next()
    const asJson = {
      body: JSON.stringify(json),
      headers: { 'content-type': 'application/json', ...init.headers },
    }
    const content = json === undefined ? {} : asJson
    if (inFlight++ === 0) emptied = removeFilesIn(temporary)
    await emptied
    return fetch(running.url + path, {
      redirect: 'manual',
      ...init,
      ...content,
      dispatcher: agent,
    }).finally(() => inFlight--)
  }

  async function end(which: Member, signal: 'SIGKILL' | 'SIGTERM'): ReturnType<Fleet['stop']> {
    which.isMeantToRun = false
    if (signal === 'SIGTERM') await which.running.stop(30_000)
    else which.running.kill(signal)
    return which.running.exited
  }

  /** Stops a process that the test has not stopped. Returns an error if it had stopped by itself or its exit code is not 0. */
  async function retire(which: Member): Promise<Error[]> {
    if (!which.isMeantToRun) return []
    const { running } = which
    const how = running.isRunning ? 'did not end in good order, but' : 'had ended by itself'
    const hadEnded = !running.isRunning
    const { code, signal } = await end(which, 'SIGTERM')
    if (!hadEnded && code === 0) return []
    return [
      new Error(`${running.name} ${how} with ${signal ?? `code ${code}`}. Last output:\n${running.output()}`),
    ]
  }

  async function retireAll(): Promise<void> {
    const [first, ...others] = (await Promise.all(members.map(retire))).flat()
    if (first) throw others.length > 0 ? new AggregateError([first, ...others], first.message) : first
  }

  const starts = await Promise.allSettled(
    Array.from({ length: options.processes ?? 2 }, (_, i) => start(i + 1)),
  )
  const failed = starts.find((outcome) => outcome.status === 'rejected')
  if (failed) {
    await Promise.all(members.map((which) => end(which, 'SIGKILL')))
    throw failed.reason
  }
  starting.defer(retireAll)
  const resources = starting.move()

  return {
    env,
    request,
    browser: () => openBrowser(request, env.PUBLIC_ORIGIN!),
    process: (n) => member(n).running,
    kill: async (n) => void (await end(member(n), 'SIGKILL')),
    stop: (n) => end(member(n), 'SIGTERM'),
    async restart(n) {
      await end(member(n), 'SIGTERM')
      await start(n)
    },
    // keep: calls
    callee(name) {
      const found = callees.get(name)
      if (!found) throw new RangeError(`${type.name} has started no ${name}`)
      return found
    },
    // /keep
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Empties each folder inside this one. */
async function removeFilesIn(folder: string): Promise<void> {
  const paths = await Array.fromAsync(glob('*/*', { cwd: folder }))
  await Promise.all(paths.map((path) => rm(join(folder, path), { recursive: true, force: true })))
}

/** A process type as its app declares it. */
interface ProcessType {
  name: string
  /** Its app. The process uses the database with the role of the app. */
  app: string
  /** Its TypeScript entry, relative to the app's folder. */
  entry: string
  needs: string[]
  calls: string[]
}

/** What is read of an app's package.json. */
interface Manifest {
  processes?: Record<string, { entry: string; route?: string; needs?: string[]; calls?: string[] }>
}

/** Reads a process type from `processes` of an app's package.json, by default the first one. */
async function readProcessType(folder: string, wanted?: string): Promise<ProcessType> {
  const { processes = {} } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
  const names = Object.keys(processes)
  const name = wanted ?? names[0] ?? ''
  const found = processes[name]
  if (!found)
    throw new Error(`${folder} declares no process "${name}", but ${names.join(', ') || 'none at all'}`)
  const { entry, needs = [], calls = [] } = found
  return { name, app: basename(folder), entry, needs, calls }
}

/** The whole environment of a process under test: defaults, what the process type needs, and `given`. */
async function environmentFor(
  { app, needs }: ProcessType,
  given: Environment,
  resources: AsyncDisposableStack,
): Promise<Environment> {
  const env: Environment = {
    NODE_ENV: 'test',
    PUBLIC_ORIGIN: 'http://localhost',
    // The test is the load balancer: each browser has its own address.
    TRUST_PROXY: 'loopback',
    DRAIN_MS: '50',
    SHUTDOWN_DEADLINE_MS: '10000',
  }
  if (needs.includes('database') && !given.DATABASE_URL) {
    env.DATABASE_URL = resources.use(await createDatabase(app)).url
  }
  if (needs.includes('session')) {
    env.SESSION_SECRETS = randomBytes(32).toString('base64url')
    if (!given.SESSION_STORE_URL) env.SESSION_STORE_URL = await sessionStoreUrl()
  }
  // keep: mail
  if (needs.includes('mail') && !given.MAIL_URL) {
    const { startMailCatcher } = await import('./start-mail-catcher.ts')
    Object.assign(env, resources.use(await startMailCatcher()).env)
  }
  // /keep
  return { ...env, ...given }
}
