import { startPostgres } from '../src/start-postgres.ts'

/** A parent that holds a Postgres until somebody kills it. Its one argument: the folder of the data, or nothing. */
const [directory] = process.argv.slice(2)
const postgres = await startPostgres(directory ? { directory } : {})
console.log(JSON.stringify({ url: postgres.url, pid: postgres.pid }))
