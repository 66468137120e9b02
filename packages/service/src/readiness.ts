import type { FastifyBaseLogger } from 'fastify'

/** Whether something that a process needs can be used now. */
export interface Check {
  /** Rejects when it cannot. */
  check(): Promise<void>
}

export type Checks = Record<string, Check>

/** Long enough for a store in trouble, short enough for the probe's own patience (Kubernetes waits one second). */
const CHECK_DEADLINE_MS = 900

export type CheckResults = Record<string, 'ok' | 'failed' | 'timed out'>

/** Runs all checks side by side, and one that still hangs from the last time is waited for, not run again. */
export function readiness(checks: Checks, log: FastifyBaseLogger): () => Promise<CheckResults> {
  const running = new Map<string, Promise<'ok' | 'failed'>>()

  async function run(name: string, resource: Check): Promise<'ok' | 'failed'> {
    try {
      await resource.check()
      return 'ok'
    } catch (err) {
      log.warn({ err, check: name }, 'not ready')
      return 'failed'
    } finally {
      running.delete(name)
    }
  }

  async function result(name: string, check: Check): Promise<[string, CheckResults[string]]> {
    if (!running.has(name)) running.set(name, run(name, check))
    const { promise: deadline, resolve } = Promise.withResolvers<'timed out'>()
    const timer = setTimeout(resolve, CHECK_DEADLINE_MS, 'timed out')
    const outcome = await Promise.race([running.get(name)!, deadline])
    clearTimeout(timer)
    if (outcome === 'timed out') log.warn({ check: name }, 'not ready: the check hangs')
    return [name, outcome]
  }

  return async () =>
    Object.fromEntries(await Promise.all(Object.entries(checks).map((entry) => result(...entry))))
}
