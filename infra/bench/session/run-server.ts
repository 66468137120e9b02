import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Stores, Variant } from './variants.ts'

/** A running server of a variant, pinned to the first core. */
export type RunningServer = AsyncDisposable & {
  variant: Variant
  url: string
  /** CPU time used by the process so far, in microseconds. */
  readCpuUs(): Promise<number>
}

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Starts a variant's server and waits until it answers. */
export async function runServer(variant: Variant, stores: Stores): Promise<RunningServer> {
  const port = await findFreePort()
  const child = spawn(
    'taskset',
    ['-c', '0', process.execPath, '--import', path('report-cpu.ts'), path(`servers/${variant.file}`)],
    {
      env: {
        PATH: process.env.PATH,
        NODE_ENV: 'production',
        PORT: String(port),
        REDIS_URL: stores.redis,
        STORE_URL: stores[variant.store ?? 'redis'],
        ...variant.env,
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  )
  const url = `http://127.0.0.1:${port}`
  await waitUntilItAnswers(url, child, variant)
  return {
    variant,
    url,
    async readCpuUs() {
      child.send('cpu')
      const [cpuUs] = await once(child, 'message')
      return cpuUs as number
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode != null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

async function waitUntilItAnswers(url: string, child: ChildProcess, { name }: Variant): Promise<void> {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await wait(20)) {
    if (child.exitCode != null)
      throw new Error(`${name}: the server exited with ${child.exitCode} before it answered`)
    const answer = await fetch(`${url}/read`).catch(() => null)
    if (answer != null) return
  }
  throw new Error(`${name}: no answer within 15 s`)
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
