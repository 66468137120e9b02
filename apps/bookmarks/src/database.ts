import { databaseOf, type DatabaseOf, type TransactionOf } from '@repo/database'
import { PrismaClient } from './generated/client.ts'

/** Opens the tables of schema.prisma. No other app uses them. */
export const openDatabase = databaseOf<PrismaClient>(PrismaClient, 'bookmarks')

export type Database = DatabaseOf<PrismaClient>
/** The argument of the callback of `database.$transaction`. */
export type Transaction = TransactionOf<PrismaClient>
export type { ImportStatus } from './generated/client.ts'
