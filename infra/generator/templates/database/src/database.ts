import { databaseOf, type DatabaseOf, type TransactionOf } from '@repo/database'
import { PrismaClient } from './generated/client.ts'

/** Opens the tables of schema.prisma. No other app can use them. */
export const openDatabase = databaseOf<PrismaClient>(PrismaClient, 'any_name')

export type Database = DatabaseOf<PrismaClient>
/** What the callback of `database.$transaction` gets. */
export type Transaction = TransactionOf<PrismaClient>
