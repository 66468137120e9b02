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

/** Postgres is unavailable. The error has the header `retry-after`. */
const DatabaseUnavailable = createError(
  'DATABASE_UNAVAILABLE',
  'The database cannot be reached right now. Please try again in a moment.',
  503,
)

export interface PoolOptions {
  /** The most connections of this pool. Default 10. */
  max?: number | undefined
  /** The longest wait for a connection, even if all are busy or the server is starting. Default 2 000. */
  connectWithinMs?: number | undefined
  /** The longest time of a statement. Default 5 000. */
  answerWithinMs?: number | undefined
}

type Query = <Row extends QueryResultRow>(
  config: QueryConfig | string,
  values?: unknown[],
) => Promise<QueryResult<Row>>

type PromiseClient = Omit<PoolClient, 'query'> & { query: Query }

/** A pool of `pg` whose `connect` and `query` take no callback. */
export interface PromisePool extends Omit<Pool, 'connect' | 'query'> {
  /** @throws DATABASE_UNAVAILABLE */
  connect(): Promise<PromiseClient>
  /** @throws DATABASE_UNAVAILABLE, or the error of Postgres */
  query: Query
}

/**
 * Returns a pool that throws DATABASE_UNAVAILABLE for every error that means that Postgres is unavailable, and reconnects by
 * itself. It opens no connection until one is needed.
 */
export function openPool(url: string, options: PoolOptions = {}): PromisePool {
  const { max = 10, connectWithinMs = 2_000, answerWithinMs = 5_000 } = options
  const pool = new Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: connectWithinMs,
    // Postgres stops a statement first, with an error. If it does not answer, the client stops waiting a little later.
    statement_timeout: answerWithinMs,
    query_timeout: answerWithinMs + 500,
    // A process that froze in a transaction must not keep its locks for ever.
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
  })
  const connect = pool.connect.bind(pool) as () => Promise<PoolClient>

  // A query on a broken connection fails by itself. Without a listener, the process would end.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    const query = client.query.bind(client) as Query
    Object.assign(client, {
      query: (...question: Parameters<Query>) => asUnavailable(() => query(...question)),
    })
  })

  // A connection in the middle of an answer or a transaction must not be reused.
  pool.on('release', (_error, client) => {
    if (!isReady(client) || client.getTransactionStatus() !== 'I') void client.end().catch(() => {})
  })

  return Object.assign(pool as PromisePool, {
    connect: () => asUnavailable(connectInTime),
    query: queryOnce,
  })

  // No query has been sent yet, so a retry is safe.
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

  // The pool's own `query` closes the connection after any error, even after a violated constraint.
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
      // After an error, Postgres sends its ready message a moment later.
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
    // Prisma replaces an error that has a code, and keeps only its `meta`. So the error is also in its own `meta`.
    throw Object.defineProperty(error, 'meta', { value: { unavailable: error } })
  }
}

/** Errors that are not from Postgres are from the network or a timeout, except a TypeError, which is a bug. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof TypeError) return false
  const { severity, code } = error as { severity?: string; code?: string }
  return severity === undefined || unavailableStates.test(code ?? '')
}

// Connection failure, no resources, shutdown or start, timeout, a standby, no such role or database.
const unavailableStates = /^(08|53|57P|57014|25006|28|3D000)/

/** Whether a statement was stopped by `statement_timeout`. */
export function isStatementTimeout(error: unknown): boolean {
  return error instanceof DatabaseUnavailable && (error.cause as { code?: string }).code === '57014'
}

/** Whether the connection broke during a statement. False if it could not be opened, or was slow. */
export function isConnectionLost(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: string; message?: string }
  return lostCodes.has(code ?? '') || lostMessage.test(message ?? '')
}

const lostCodes = new Set(['ECONNRESET', 'EPIPE', '57P01', '57P02'])
const lostMessage = /^(Connection terminated unexpectedly|Client has encountered a connection error)/
