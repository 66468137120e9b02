import createError from '@fastify/error'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ClientBase,
  Pool,
  type PoolClient,
  type QueryConfig,
  type QueryResult,
  type QueryResultRow,
} from 'pg'

/** Postgres cannot be used right now. Its headers hold `retry-after`. */
export const DatabaseUnavailable = createError(
  'DATABASE_UNAVAILABLE',
  'The database cannot be reached right now. Please try again in a moment.',
  503,
)

export interface PoolOptions {
  /** Connections of this process. Default 10. */
  max?: number | undefined
  /** How long a connection may take, including the wait for a free one and a server that is starting. Default 2 000. */
  connectWithinMs?: number | undefined
  /** How long a statement may take. Default 5 000. */
  answerWithinMs?: number | undefined
}

type Query = <Row extends QueryResultRow>(
  config: QueryConfig | string,
  values?: unknown[],
) => Promise<QueryResult<Row>>

type PromiseClient = Omit<PoolClient, 'query'> & { query: Query }

/** A pool of `pg` without the ways that are not offered here: its `connect` and `query` take no callback. */
export interface PromisePool extends Omit<Pool, 'connect' | 'query'> {
  /** @throws DATABASE_UNAVAILABLE */
  connect(): Promise<PromiseClient>
  /** @throws DATABASE_UNAVAILABLE, or the error of Postgres */
  query: Query
}

/**
 * A pool that throws DATABASE_UNAVAILABLE for every error that says that Postgres cannot be used now, and connects again by itself.
 * It opens no connection until one is needed.
 */
export function openPool(url: string, options: PoolOptions = {}): PromisePool {
  const { max = 10, connectWithinMs = 2_000, answerWithinMs = 5_000 } = options
  const pool = new Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: connectWithinMs,
    // Postgres gives up first, and says so; a Postgres that says nothing is given up on a little later.
    statement_timeout: answerWithinMs,
    query_timeout: answerWithinMs + 500,
    // A process that froze in a transaction must not hold its locks for ever.
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
  })
  const connect = pool.connect.bind(pool) as () => Promise<PoolClient>

  // The query that uses a broken connection fails by itself; without a listener the process would end.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    const query = client.query.bind(client) as Query
    Object.assign(client, {
      query: (...question: Parameters<Query>) => asUnavailable(() => query(...question)),
    })
  })

  // A connection that still owes an answer, or stands in an open transaction, is no good to the next who asks for one.
  pool.on('release', (_error, client) => {
    if (!isReady(client) || client.getTransactionStatus() !== 'I') void client.end().catch(() => {})
  })

  return Object.assign(pool as PromisePool, {
    connect: () => asUnavailable(connectInTime),
    query: queryOnce,
  })

  // Nothing has been sent yet, so trying again is safe whatever was to be sent.
  async function connectInTime(): Promise<PoolClient> {
    const giveUpAt = performance.now() + connectWithinMs
    for (;;) {
      try {
        const client = await connect()
        return client
      } catch (error) {
        const pauseMs = 25 + Math.random() * 100
        if (!isUnavailable(error) || performance.now() + pauseMs > giveUpAt) throw error
        await sleep(pauseMs)
      }
    }
  }

  // The pool's own way closes the connection after any error, also after a violated constraint.
  async function queryOnce<Row extends QueryResultRow>(
    config: QueryConfig | string,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    const client = await pool.connect()
    let error: unknown
    try {
      return await client.query<Row>(config as string, values)
    } catch (thrown) {
      error = thrown
      throw thrown
    } finally {
      // An error that Postgres sent is followed by the word that it is ready again, a moment later.
      if (error && !(error instanceof DatabaseUnavailable) && !isReady(client)) releaseWhenReady(client)
      else client.release()
    }
  }
}

function isReady(client: ClientBase): boolean {
  return (client as unknown as { readyForQuery: boolean }).readyForQuery
}

function releaseWhenReady(client: PoolClient): void {
  const release = (): void => {
    client.off('drain', release).off('end', release)
    client.release()
  }
  client.on('drain', release).on('end', release)
}

async function asUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!isUnavailable(cause)) throw cause
    const error = Object.assign(new DatabaseUnavailable({ cause }), { headers: { 'retry-after': '1' } })
    // Prisma makes an error of its own of any that has a code, and keeps only the meta: there it finds itself again.
    throw Object.defineProperty(error, 'meta', { value: { unavailable: error } })
  }
}

/** What Postgres did not say itself was said by the network, or by nobody; unless it is a mistake of ours. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof TypeError) return false
  const { severity, code } = error as { severity?: string; code?: string }
  return severity === undefined || unavailableStates.test(code ?? '')
}

// Connection failures, no resources left, shutting down or starting, out of time, a standby, no such role or database.
const unavailableStates = /^(08|53|57P|57014|25006|28|3D000)/

/** It was given up because it took longer than it may. */
export function isStatementTimeout(error: unknown): boolean {
  return error instanceof DatabaseUnavailable && (error.cause as { code?: string }).code === '57014'
}

/** It broke with a statement under way, as opposed to never having been there, or being slow. */
export function isConnectionLost(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: string; message?: string }
  return lostCodes.has(code ?? '') || lostMessage.test(message ?? '')
}

const lostCodes = new Set(['ECONNRESET', 'EPIPE', '57P01', '57P02'])
const lostMessage = /^(Connection terminated unexpectedly|Client has encountered a connection error)/
