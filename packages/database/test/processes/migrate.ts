import { migrate } from '../../src/migrate.ts'

/** Runs a release as a process, for the tests that kill one. */
await migrate(process.env.DATABASE_URL!, JSON.parse(process.env.TABLES!))
