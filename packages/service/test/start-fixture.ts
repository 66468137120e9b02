import { request, type Agent } from 'node:http'
import { fileURLToPath } from 'node:url'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'
import { onTestFinished } from 'vitest'

export interface Fixture extends NodeProcess {
  /** The parsed lines of its log so far. */
  log(): Record<string, unknown>[]
}

/** Starts a fixture as a process, waits until it is ready, and stops it with the test. */
export async function startFixture(
  entry: 'server.ts' | 'worker.ts' | 'careless/server.ts',
  env: Record<string, string> = {},
  { waits = true } = {},
): Promise<Fixture> {
  const cwd = fileURLToPath(new URL('fixtures', import.meta.url))
  const fixture = await startProcess({ name: entry, cwd, entry, env })
  onTestFinished(() => fixture.stop())
  if (waits) await fixture.ready
  const log = (): Record<string, unknown>[] =>
    fixture
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return Object.assign(fixture, { log })
}

export interface Answer {
  status: number
  connection: string | undefined
  body: string
}

export interface AskOptions {
  agent?: Agent
  method?: string
}

/** Sends one request, over a connection of `agent` if it is given. Rejects when the connection breaks. */
export function ask(
  { port }: { port: number },
  path: string,
  { agent, method = 'GET' }: AskOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, path, method, agent: agent ?? false, host: '127.0.0.1' },
      async (response) => {
        let body = ''
        for await (const chunk of response) body += String(chunk)
        resolve({ status: response.statusCode!, connection: response.headers.connection, body })
      },
    )
    sent.on('error', reject).end()
  })
}
