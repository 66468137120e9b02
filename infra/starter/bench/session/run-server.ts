import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import type { Stores, Variant } from './variants.ts'

/** A running server of a variant, pinned to the first core. */
export interface RunningServer extends AsyncDisposable {
  name: string
  url: string
  port: number
  /** CPU time since its start, and memory now. */
  readUsage(): Promise<{ cpuUs: number; memoryBytes: number }>
}

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Starts a variant's server and waits until it answers. */
export async function runServer({ name, file, env, store }: Variant, stores: Stores): Promise<RunningServer> {
  const port = await freePort()
  const child = spawn(
    'taskset',
    ['-c', '0', process.execPath, '--import', path('report-usage.ts'), path(`servers/${file}`)],
    {
      env: {
        PATH: process.env.PATH,
        NODE_ENV: 'production',
        PORT: String(port),
        REDIS_URL: stores.redis,
        STORE_URL: stores[store ?? 'redis'],
        ...env,
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  )
  const url = `http://127.0.0.1:${port}`
  await pollUntil(`${name} answers`, () => isAnswering(url, child), { deadlineMs: 15_000 })
  return {
    name,
    url,
    port,
    async readUsage() {
      child.send('usage')
      return (await once(child, 'message'))[0]
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode != null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

async function isAnswering(url: string, child: ChildProcess): Promise<boolean> {
  if (child.exitCode != null) throw new Error(`it exited with ${child.exitCode}`)
  return Boolean(await fetch(`${url}/read`))
}
