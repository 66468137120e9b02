import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { listAppTables } from '@repo/database/app-tables'
import {
  listFailed,
  measureQueue,
  retryFailed,
  type FailedJob,
  type QueueDepth,
  type RawQueries,
} from '@repo/queue'
import { Pool } from 'pg'
import { findAppDatabase, noDatabase } from '../databases.ts'

const help = `pnpm jobs [app...] [--failed | retry <app/id> | retry --all] [--json]

  pnpm jobs                  for each app, or these: how many jobs wait, run, wait for a later time, and have failed
  pnpm jobs --failed         the last 100 jobs of each app that failed for good, and why
  pnpm jobs retry orders/7   gives a failed job all its attempts again, from now on; --all does so for every one

  --json   ends with one line of JSON

The server is DATABASE_URL, with a role that may create roles, else the server of a running pnpm dev. For an app with
DATABASE_URL_<APP> it is that URL.
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

const root = resolve(import.meta.dirname, '../..')
const apps = listAppTables(join(root, 'apps')).flatMap(({ app, hasQueue }) => (hasQueue ? [app] : []))

try {
  await run()
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}

async function run(): Promise<void> {
  if (options.help) return console.log(help)
  const isRetry = positionals[0] === 'retry'
  const [job, ...rest] = isRetry ? positionals.slice(1) : []
  if (rest.length > 0 || (isRetry && (job === undefined) !== options.all))
    throw new Error(`That is not a command.\n\n${help}`)
  const answer = isRetry
    ? await retry(job)
    : await ofEach<unknown>(
        positionals.length > 0 ? positionals : apps,
        options.failed ? showFailed : showDepth,
      )
  if (options.json) console.log(JSON.stringify(answer))
}

/** What `ask` returns for the queue of each of these apps, by the name of the app. */
async function ofEach<T>(
  names: readonly string[],
  ask: (queries: RawQueries, app: string) => Promise<T>,
): Promise<Record<string, T>> {
  const unknown = names.find((name) => !apps.includes(name))
  if (unknown !== undefined)
    throw new Error(`No app ${unknown} has jobs. There are: ${apps.join(', ') || 'none'}.`)
  const answers: Record<string, T> = {}
  for (const app of names) {
    const url = await findAppDatabase(app)
    if (!url) throw new Error(noDatabase)
    const pool = new Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 10_000 })
    try {
      answers[app] = await ask(
        {
          $queryRawUnsafe: async <T>(sql: string, ...values: unknown[]) =>
            (await pool.query(sql, values)).rows as T,
        },
        app,
      )
    } finally {
      await pool.end()
    }
  }
  return answers
}

async function retry(job: string | undefined): Promise<{ retried: number }> {
  const [app, id] = job?.split('/') ?? []
  if (job !== undefined && !id) throw new Error(`A job is named by its app and its number, as orders/7.`)
  const counts = await ofEach(app === undefined ? apps : [app], (queries) => retryFailed(queries, id))
  const retried = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (retried === 0)
    throw new Error(job ? `No job ${job} has failed for good.` : 'No job has failed for good.')
  console.log(retried === 1 ? 'One job will be tried again.' : `${retried} jobs will be tried again.`)
  return { retried }
}

async function showFailed(queries: RawQueries, app: string): Promise<FailedJob[]> {
  const failed = await listFailed(queries)
  for (const { id, job, failedAt, error } of failed)
    console.log(`${app}/${id}  ${job}  ${failedAt}\n    ${error}`)
  if (failed.length === 0) console.log(`No job of ${app} has failed for good.`)
  return failed
}

async function showDepth(queries: RawQueries, app: string): Promise<QueueDepth> {
  const depth = await measureQueue(queries)
  const { waiting, running, later, failed } = depth
  console.log(`${app}: ${waiting} waiting, ${running} running, ${later} later, ${failed} failed`)
  return depth
}
