import { Pool } from 'undici'

/** How long a process may take to accept a connection, and to answer a probe. */
const PATIENCE_MS = 1000

/**
 * - `ready`: `/readyz` answers 200.
 * - `unready`: `/readyz` answers otherwise: the process drains, or has not reached a backing service yet.
 * - `late`: the process does not answer in time: it is frozen or overloaded.
 * - `gone`: nothing listens at the address.
 */
export type Health = 'ready' | 'unready' | 'late' | 'gone'

/** One process of a service, at one address: its connections and its last known health. It holds no data of a user. */
export interface UpstreamProcess {
  readonly origin: string
  /** The host header of requests to it. */
  readonly host: string
  readonly pool: Pool
  health: Health
  /** Callbacks of reads that wait for it. When it stalls, they are called, and the reads go to another process. */
  readonly waiting: Set<() => void>
}

/** @param timeoutMs how long it may take to begin its answer, and between two pieces of it */
export function openProcess(origin: string, { host, hostname }: URL, timeoutMs: number): UpstreamProcess {
  const pool = new Pool(origin, {
    // One connection for each request in flight, so never more than our own clients have opened.
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
