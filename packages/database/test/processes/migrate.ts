import { migrate } from '../../src/migrate.ts'

/** A release of its own, for the tests that kill one. */
await migrate(process.env.DATABASE_URL!, JSON.parse(process.env.TABLES!))
