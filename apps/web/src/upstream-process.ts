import { Pool } from 'undici'

/** How long a process may take to accept a connection, and to say that it is ready. */
const PATIENCE_MS = 1000

/**
 * - `ready`: `/readyz` says so.
 * - `unready`: `/readyz` says not: it drains, or has not found a backing service yet.
 * - `late`: it is there, but does not answer in time: frozen, or overloaded.
 * - `gone`: nobody listens there.
 */
export type Health = 'ready' | 'unready' | 'late' | 'gone'

/** One process of a service, at one address. It is connections and what was last seen: nothing of a person. */
export interface UpstreamProcess {
  readonly origin: string
  /** The host that requests to it name. */
  readonly host: string
  readonly pool: Pool
  health: Health
  /** Called when it stalls: reads that wait for it, and would rather ask somebody else. */
  readonly waiting: Set<() => void>
}

/** @param timeoutMs how long it may take to begin its answer, and between two pieces of it */
export function openProcess(origin: string, { host, hostname }: URL, timeoutMs: number): UpstreamProcess {
  const pool = new Pool(origin, {
    // One connection for each request in flight: there are never more than our own clients have opened.
    connections: null,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    allowH2: false,
    connect: { timeout: PATIENCE_MS, ...(origin.startsWith('https:') && { servername: hostname }) },
  })
  return { origin, host, pool, health: 'gone', waiting: new Set() }
}

export async function readHealth({ pool, host }: UpstreamProcess): Promise<Health> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  try {
    const { statusCode, body } = await pool.request({
      path: '/readyz',
      method: 'GET',
      headers: { host },
      signal,
    })
    await body.dump()
    return statusCode === 200 ? 'ready' : 'unready'
  } catch {
    return signal.aborted ? 'late' : 'gone'
  }
}
