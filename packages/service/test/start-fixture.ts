import { request, type Agent } from 'node:http'
import { fileURLToPath } from 'node:url'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'
import { onTestFinished } from 'vitest'

export interface Fixture extends NodeProcess {
  /** Its log, each line parsed, up to now. */
  log(): Record<string, unknown>[]
}

/** Starts one of the fixtures as a process of its own, waits until it is ready, and ends it with the test. */
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

/** One request, over a connection of `agent` if there is one. Rejects when the connection breaks. */
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
