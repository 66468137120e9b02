import { PrismaPg } from '@prisma/adapter-pg'
import type { ITXClientDenyList } from '@prisma/client/runtime/client'
import type { Pool } from 'pg'
import { Type } from 'typebox'
import { setTimeout as sleep } from 'node:timers/promises'
import { limitQueries, type LimitedQueries, type QueryLimits } from './limit-queries.ts'
import { isConnectionLost, openPool, type PoolOptions } from './open-pool.ts'

/** The environment variables of a process that uses the database. */
export const databaseEnv = {
  DATABASE_URL: Type.String({
    secret: true,
    description: 'Postgres: postgres://user:password@host:5432/name',
    pattern: /^postgres(ql)?:\/\//.source,
    expected: 'a URL that starts with postgres://',
  }),
  DATABASE_DIRECT_URL: Type.Optional(
    Type.String({
      secret: true,
      description:
        'Postgres itself, if DATABASE_URL is a pooler in transaction mode, through which LISTEN does not work',
      pattern: /^postgres(ql)?:\/\//.source,
      expected: 'a URL that starts with postgres://',
    }),
  ),
  DATABASE_POOL_MAX: Type.Integer({
    minimum: 1,
    default: 10,
    description: 'Connections to Postgres that one process may hold',
  }),
}

/** The client that `prisma generate` makes from an app's models. */
export interface GeneratedClient {
  $disconnect(): Promise<void>
  // oxlint-disable-next-line typescript/no-explicit-any -- each client has types of its own here
  $extends: any
}

/** The argument of the callback of `database.$transaction`. */
export type TransactionOf<Client extends GeneratedClient> = Omit<Client, ITXClientDenyList>

/**
 * Prisma's client. It throws DATABASE_UNAVAILABLE (503, with `retry-after`) while Postgres is away, and reconnects by
 * itself. Other errors are Prisma's: a violated unique constraint is its `P2002`.
 */
export type DatabaseOf<Client extends GeneratedClient> = Client &
  AsyncDisposable & {
    /** @throws DATABASE_UNAVAILABLE */
    check(): Promise<void>
    /**
     * Sends one statement directly to Postgres, with `$1` and so on, and returns its rows. For large values: Prisma escapes
     * each value as text inside text, and took 20 times the memory to store the pieces of a file.
     *
     * @throws DATABASE_UNAVAILABLE
     */
    query<Row>(text: string, values: readonly unknown[]): Promise<Row[]>
    /**
     * For queries whose cost a user decides, such as a search. Each runs in its own transaction, and each user has one at a
     * time in all processes. Together they get only a share of this process's connections, so that others stay free.
     */
    limitQueries(limits: QueryLimits): LimitedQueries<TransactionOf<Client>>
  }

/**
 * Returns a function that opens the database of an app. It connects at the first query.
 *
 * @param Client the class that `prisma generate` makes from the app's schema.prisma
 * @param schema the Postgres schema of the tables, from the app's name: `back_orders`
 */
export function databaseOf<Client extends GeneratedClient>(
  // oxlint-disable-next-line typescript/no-explicit-any -- each client has types of its own here
  Client: new (options: any) => Client,
  schema: string,
): (url: string, options?: PoolOptions) => DatabaseOf<Client> {
  return (url, options = {}) => {
    const { max = 10, connectWithinMs = 2_000, answerWithinMs = 5_000 } = options
    const pool = openPool(url, options)
    const client = new Client({
      // The cast is safe: Prisma uses the pool only with promises and `on`.
      adapter: new PrismaPg(pool as Pool, { schema }),
      // Longer than the timeouts of the pool, so that the error is the pool's.
      transactionOptions: { maxWait: connectWithinMs + answerWithinMs + 1_000, timeout: 15_000 },
    })
    const database = client.$extends({
      query: {
        $allOperations: ({ operation, args, query }: Operation) =>
          asItself(() => (reads.has(operation) ? readAgain(() => query(args)) : query(args))),
      },
    })

    return Object.assign(database, {
      check: async () => void (await pool.query('SELECT 1')),
      query: async (text: string, values: unknown[]) => (await pool.query(text, values)).rows,
      limitQueries: (limits: QueryLimits) =>
        limitQueries<TransactionOf<Client>>((work) => database.$transaction(work), max, limits),
      [Symbol.asyncDispose]: async () => {
        await client.$disconnect()
        await pool.end()
      },
    })
  }
}

interface Operation {
  operation: string
  args: unknown
  query(args: unknown): Promise<unknown>
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

/** Throws the pool's own error in place of the one that Prisma makes of it. */
async function asItself<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw findUnavailable(error) ?? error
  }
}

/** Repeats a read that lost its connection. A restart of Postgres breaks all connections at once. */
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
