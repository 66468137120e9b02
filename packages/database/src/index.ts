export { databaseEnv, openDatabase, type Database, type Transaction } from './open-database.ts'
export { QueriesBusy, QueryTooSlow, QueryUnderWay, type LimitedQueries } from './limit-queries.ts'
export { Prisma } from './generated/client.ts'
export type {
  Bookmark,
  BookmarkImport,
  ImportChunk,
  ImportStatus,
  SignInFailures,
  User,
} from './generated/client.ts'
