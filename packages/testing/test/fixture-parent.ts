import { startPostgres } from '../src/start-postgres.ts'

/** A parent that runs a Postgres until it is killed. Its one argument: the folder of the data, or none. */
const [directory] = process.argv.slice(2)
const postgres = await startPostgres(directory ? { directory } : {})
console.log(JSON.stringify({ url: postgres.url, pid: postgres.pid }))
