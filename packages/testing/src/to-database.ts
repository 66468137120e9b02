import type { Pool, PoolClient } from 'pg'

/** What a package needs of a transaction of a Prisma client. */
interface RawQueries {
  $queryRawUnsafe<T>(sql: string, ...values: unknown[]): Promise<T>
}

/** Raw queries as those of a Prisma client. */
export function toQueries(source: Pick<Pool, 'query'>): RawQueries {
  return {
    async $queryRawUnsafe<T>(sql: string, ...values: unknown[]) {
      return (await source.query(sql, values)).rows as T
    },
  }
}

/** Transactions as those of a Prisma client. */
export function toDatabase(pool: Pool): {
  $transaction<T>(work: (tx: RawQueries) => Promise<T>): Promise<T>
} {
  // A connection that breaks makes the next query fail; without a listener it would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  return {
    async $transaction(work) {
      const client: PoolClient = await pool.connect()
      let problem: Error | undefined
      try {
        await client.query('BEGIN')
        const result = await work(toQueries(client))
        await client.query('COMMIT')
        return result
      } catch (error) {
        await client.query('ROLLBACK').catch((broken: Error) => (problem = broken))
        throw error
      } finally {
        client.release(problem)
      }
    },
  }
}
