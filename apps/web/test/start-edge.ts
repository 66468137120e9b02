import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProcess, type NodeProcess } from '@repo/testing'
import { build } from 'vite'
import { buildApp } from '../src/app.ts'
import type { Env } from '../src/env.ts'

const APP = join(import.meta.dirname, '..')

/** The environment of an edge whose only service does not run. */
export const ENV: Env = {
  NODE_ENV: 'test',
  PORT: 0,
  HOST: '127.0.0.1',
  LOG_LEVEL: 'silent',
  PUBLIC_ORIGIN: 'http://localhost',
  KEEP_ALIVE_TIMEOUT_MS: 72_000,
  DRAIN_MS: 0,
  SHUTDOWN_DEADLINE_MS: 5000,
  UPSTREAM_TIMEOUT_MS: 5000,
  UPSTREAM_PROBE_MS: 100,
  UPSTREAMS: ['/api/nobody=http://127.0.0.1:1'],
}

/** One service of the test, with its running processes. */
export interface Fixture {
  prefix: string
  processes: NodeProcess[]
  /** The lines that all its processes have recorded since `reset`. */
  done(): Promise<string[]>
  /** Starts process number `n`, which has ended or is new, at its earlier port or at `port`. */
  start(n: number, port?: number): Promise<NodeProcess>
  /** Continues or restarts what a test has frozen or ended, and deletes the recorded lines. */
  reset(): Promise<void>
  /** Its entry of UPSTREAMS. */
  upstream(): string
}

export interface House extends AsyncDisposable {
  /** Builds the page once and starts an edge in front of these services. */
  edge(routes: readonly string[], env?: Partial<Env>): Promise<string>
  service(prefix: string, count: number, env?: Record<string, string>): Promise<Fixture>
}

/** Starts everything that a test of the edge needs, and stops it at disposal. */
export async function openHouse(): Promise<House> {
  const stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'nonstick-web-'))
  stack.defer(() => rm(folder, { recursive: true }))
  let page: Promise<string> | undefined

  async function edge(routes: readonly string[], env: Partial<Env> = {}): Promise<string> {
    page ??= buildPage(join(folder, 'page'))
    const app = await buildApp({ ...ENV, ...env, UPSTREAMS: [...routes] }, { page: await page })
    stack.defer(() => app.close())
    await app.listen({ port: 0, host: '127.0.0.1' })
    return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  }

  async function service(prefix: string, count: number, env: Record<string, string> = {}): Promise<Fixture> {
    const doneFile = join(folder, `done-${prefix.replaceAll('/', '-')}`)
    const processes: NodeProcess[] = []

    async function start(n: number, port = processes[n - 1]?.port): Promise<NodeProcess> {
      const name = `${prefix}.${n}`
      const started = await startProcess({
        name,
        cwd: APP,
        entry: 'test/fixtures/server.ts',
        env: {
          ...Object.fromEntries(Object.entries(ENV).map(([key, value]) => [key, `${value}`])),
          PORT: port === undefined ? undefined : `${port}`,
          PREFIX: prefix,
          DONE_FILE: doneFile,
          PROCESS_NAME: name,
          ...env,
          // Longer than the edge needs to notice.
          DRAIN_MS: '400',
        },
      })
      stack.use(started)
      processes[n - 1] = started
      await started.ready
      return started
    }

    await Promise.all(Array.from({ length: count }, (_, i) => start(i + 1)))
    return {
      prefix,
      processes,
      start,
      async reset() {
        for (const [index, running] of processes.entries()) {
          running.kill('SIGCONT')
          if (!running.isRunning) await start(index + 1)
        }
        await writeFile(doneFile, '')
      },
      done: async () => (await readFile(doneFile, 'utf8').catch(() => '')).split('\n').filter(Boolean),
      upstream: () => `${prefix}=${processes.map(({ url }) => url).join('|')}`,
    }
  }

  return { edge, service, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

export async function buildPage(directory: string): Promise<string> {
  await build({
    configFile: join(APP, 'page/vite.config.ts'),
    logLevel: 'error',
    build: { outDir: directory },
  })
  return directory
}
