export { directUrlVariableOf, urlVariableOf } from './app-tables.ts'
export { QueriesBusy, QueryTooSlow, QueryUnderWay, type LimitedQueries } from './limit-queries.ts'
export {
  databaseEnv,
  databaseOf,
  type DatabaseOf,
  type GeneratedClient,
  type TransactionOf,
} from './open-database.ts'
