import { parseArgs } from 'node:util'
import { openDatabase, type Database } from '@repo/database'
import { listFailed, measureQueue, retryFailed, type FailedJob, type QueueDepth } from '@repo/queue'
import { findDatabase, noDatabase } from '../find-database.ts'

const help = `pnpm jobs [--failed | retry <id> | retry --all] [--json]

  pnpm jobs               how many jobs wait, run, wait for their time, and have failed for good
  pnpm jobs --failed      the last hundred that failed for good, and why
  pnpm jobs retry <id>    gives a failed job all its attempts again, from now on; --all does so for every one

  --json   ends with one line of JSON

The database is DATABASE_URL, else the one of pnpm dev while that runs.
`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    failed: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const [word, id, ...rest] = positionals

try {
  await run()
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}

async function run(): Promise<void> {
  if (options.help) return console.log(help)
  const isRetry = word === 'retry' && (id === undefined) === options.all
  if ((word !== undefined && !isRetry) || rest.length > 0)
    throw new Error(`That is not a command.\n\n${help}`)
  const url = await findDatabase()
  if (!url) throw new Error(noDatabase)

  await using database = openDatabase(url)
  const answer = isRetry
    ? await retry(database)
    : options.failed
      ? await showFailed(database)
      : await showDepth(database)
  if (options.json) console.log(JSON.stringify(answer))
}

async function retry(database: Database): Promise<{ retried: number }> {
  const retried = await retryFailed(database, id)
  if (retried === 0) throw new Error(id ? `No job ${id} has failed for good.` : 'No job has failed for good.')
  console.log(retried === 1 ? 'One job will be tried again.' : `${retried} jobs will be tried again.`)
  return { retried }
}

async function showFailed(database: Database): Promise<{ failed: FailedJob[] }> {
  const failed = await listFailed(database)
  for (const { id, job, failedAt, error } of failed) console.log(`${id}  ${job}  ${failedAt}\n    ${error}`)
  if (failed.length === 0) console.log('No job has failed for good.')
  return { failed }
}

async function showDepth(database: Database): Promise<QueueDepth> {
  const depth = await measureQueue(database)
  const { waiting, running, later, failed } = depth
  console.log(`${waiting} waiting, ${running} running, ${later} later, ${failed} failed`)
  return depth
}
