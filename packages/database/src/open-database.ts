import { PrismaPg } from '@prisma/adapter-pg'
import { Type } from 'typebox'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Prisma, PrismaClient } from './generated/client.ts'
import { limitQueries, type LimitedQueries, type QueryLimits } from './limit-queries.ts'
import { isConnectionLost, openPool, type PoolOptions } from './open-pool.ts'

/** The variables of a process that uses the database. */
export const databaseEnv = {
  DATABASE_URL: Type.String({
    description: 'Postgres: postgres://user:password@host:5432/name',
    pattern: /^postgres(ql)?:\/\//.source,
    expected: 'a URL that starts with postgres://',
  }),
  DATABASE_POOL_MAX: Type.Integer({
    minimum: 1,
    default: 10,
    description: 'Connections to Postgres that one process may hold',
  }),
}

/** What the callback of `database.$transaction` gets. */
export type Transaction = Prisma.TransactionClient

/**
 * Prisma's client, which answers DATABASE_UNAVAILABLE (503, with `retry-after`) while Postgres is away, and works again
 * by itself. Other errors are Prisma's: a violated unique constraint is its `P2002`.
 */
export type Database = PrismaClient &
  AsyncDisposable & {
    /** @throws DATABASE_UNAVAILABLE */
    check(): Promise<void>
    /**
     * One statement straight to Postgres, with `$1` and so on. For what is large: Prisma carries every value as text in
     * text, and took 20 times the memory to store the pieces of a file.
     *
     * @throws DATABASE_UNAVAILABLE
     */
    query<Row>(text: string, values: readonly unknown[]): Promise<Row[]>
    /**
     * For queries whose cost a user decides, as a search: each in a transaction of its own, one at a time for each user
     * in all processes, and all of them with a share of this process's connections, so that others always find one.
     */
    limitQueries(limits: QueryLimits): LimitedQueries
  }

/** Connects to nothing yet: that is the first query's. */
export function openDatabase(url: string, options: PoolOptions = {}): Database {
  const { max = 10, connectWithinMs = 2_000, answerWithinMs = 5_000 } = options
  const pool = openPool(url, options)
  const client = new PrismaClient({
    adapter: new PrismaPg(pool),
    // Longer than the pool waits, so that the pool is the one to answer.
    transactionOptions: { maxWait: connectWithinMs + answerWithinMs + 1_000, timeout: 15_000 },
  })
  const database = client.$extends({
    query: {
      $allOperations: ({ operation, args, query }) =>
        asItself(() => (reads.has(operation) ? readAgain(() => query(args)) : query(args))),
    },
  })

  return Object.assign(database, {
    check: async () => void (await pool.query('SELECT 1')),
    query: async (text: string, values: unknown[]) => (await pool.query({ text, values })).rows,
    limitQueries: (limits: QueryLimits) =>
      limitQueries((work) => database.$transaction((tx) => work(tx as Transaction)), max, limits),
    [Symbol.asyncDispose]: async () => {
      await client.$disconnect()
      await pool.end()
    },
  }) as unknown as Database
}

const reads = new Set([
  'findUnique',
  'findUniqueOrThrow',
  'findFirst',
  'findFirstOrThrow',
  'findMany',
  'count',
  'aggregate',
  'groupBy',
])

/** Finds what the pool threw in the error that Prisma made of it. */
async function asItself<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw findUnavailable(error) ?? error
  }
}

/** A read that lost its connection is asked again: a restart of Postgres breaks all of them at once. */
async function readAgain<T>(read: () => Promise<T>, triesLeft = 3): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (triesLeft === 0 || !isConnectionLost(findUnavailable(error)?.cause)) throw error
    await sleep(Math.random() * 50)
    return await readAgain(read, triesLeft - 1)
  }
}

function findUnavailable(error: unknown): Error | undefined {
  return (error as { meta?: { unavailable?: Error } }).meta?.unavailable
}
