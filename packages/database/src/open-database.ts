import { PrismaPg } from '@prisma/adapter-pg'
import { Pool } from 'pg'
import { PrismaClient } from './generated/client.ts'
import type { Prisma } from './generated/client.ts'

export type Transaction = Prisma.TransactionClient
export type Database = PrismaClient & AsyncDisposable & { check(): Promise<void> }

/** Opens nothing yet: the first query connects. */
export function openDatabase(url: string): Database {
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: 2_000 })
  pool.on('error', () => {})
  const client = new PrismaClient({ adapter: new PrismaPg(pool) })
  return Object.assign(client, {
    check: async () => void (await pool.query('SELECT 1')),
    [Symbol.asyncDispose]: async () => {
      await client.$disconnect()
      await pool.end()
    },
  })
}
