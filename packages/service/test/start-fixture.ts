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
