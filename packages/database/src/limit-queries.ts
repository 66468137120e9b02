import createError from '@fastify/error'
import { isStatementTimeout } from './open-pool.ts'

export const QueriesBusy = createError(
  'QUERIES_BUSY',
  'Too many people are asking for something like this right now. Please try again in a moment.',
  503,
)
export const QueryTooSlow = createError(
  'QUERY_TOO_SLOW',
  'This took too long and was stopped. Ask for less: look for a longer text, or in a smaller part.',
  422,
)
export const QueryUnderWay = createError(
  'QUERY_UNDER_WAY',
  'You are still waiting for an answer like this one. Ask again when it is there.',
  429,
)

export interface QueryLimits {
  /** For example `orders.search`. Limits with the same name share the rule of one query per user, in all processes. */
  name: string
  /** The part of the pool that these queries may use, at least one connection. Default 0.3. */
  share?: number
  /** The longest time of each statement. */
  answerWithinMs: number
  /** The longest wait of a query for its turn. Default 2 000. */
  waitMs?: number
}

/**
 * @param signal aborted when the client has disconnected: then the query leaves the queue.
 * @throws QUERY_UNDER_WAY (429) when the user's earlier query is not done in time, QUERIES_BUSY (503) when those of other
 * users are not, QUERY_TOO_SLOW (422) when a statement takes too long; DATABASE_UNAVAILABLE
 */
export type LimitedQueries<Transaction> = <T>(
  userId: string,
  work: (transaction: Transaction) => Promise<T>,
  signal?: AbortSignal,
) => Promise<T>

interface RawTransaction {
  $executeRaw(sql: TemplateStringsArray, ...values: unknown[]): Promise<unknown>
}

/** @see DatabaseOf.limitQueries */
export function limitQueries<Transaction>(
  begin: <T>(work: (transaction: Transaction & RawTransaction) => Promise<T>) => Promise<T>,
  poolMax: number,
  { name, share = 0.3, answerWithinMs, waitMs = 2_000 }: QueryLimits,
): LimitedQueries<Transaction> {
  const takeTurn = createTurns(Math.max(1, Math.floor(poolMax * share)))

  return async (userId, work, signal) => {
    using _turn = await takeTurn(userId, waitMs, signal)
    return await begin(async (transaction) => {
      // Until the end of the transaction, so it also works through a pooler.
      await transaction.$executeRaw`SELECT set_config('statement_timeout', ${`${answerWithinMs}`}, true)`
      await orTimeout(
        transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtext(${name}), hashtext(${userId}))`,
        () => askAgainSoon(new QueryUnderWay()),
      )
      return await orTimeout(work(transaction), () => new QueryTooSlow())
    })
  }
}

/**
 * Limits the queries in progress to `places`. Each user has one at most, and then the waiting queries of other users come
 * first. So a user with many queries delays only their own.
 */
function createTurns(places: number) {
  const holders = new Set<string>()
  /** The waiting queries of each user, in the order of their next turn. */
  const lines = new Map<string, (() => void)[]>()

  function startNext(): void {
    for (const [userId, line] of lines) {
      if (holders.size >= places) return
      if (holders.has(userId)) continue
      const start = line.shift()!
      lines.delete(userId)
      if (line.length > 0) lines.set(userId, line)
      holders.add(userId)
      start()
    }
  }

  function leave(userId: string, start: () => void): void {
    const line = (lines.get(userId) ?? []).filter((other) => other !== start)
    if (line.length > 0) lines.set(userId, line)
    else lines.delete(userId)
  }

  return async function takeTurn(userId: string, waitMs: number, signal?: AbortSignal): Promise<Disposable> {
    const { promise, resolve: start, reject } = Promise.withResolvers<void>()
    function giveUp(): void {
      leave(userId, start)
      reject(askAgainSoon(holders.has(userId) ? new QueryUnderWay() : new QueriesBusy()))
    }
    if (signal?.aborted) throw new QueryUnderWay()
    lines.set(userId, [...(lines.get(userId) ?? []), start])
    startNext()
    const timer = setTimeout(giveUp, waitMs)
    signal?.addEventListener('abort', giveUp, { once: true })
    try {
      await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
    }
    return {
      [Symbol.dispose]() {
        holders.delete(userId)
        startNext()
      },
    }
  }
}

async function orTimeout<T>(work: Promise<T>, problem: () => Error): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw isStatementTimeout(error) ? problem() : error
  }
}

function askAgainSoon(error: Error): Error {
  return Object.assign(error, { headers: { 'retry-after': '1' } })
}
