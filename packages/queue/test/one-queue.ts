import { pollUntil, type TestDatabase } from '@repo/testing'
import { Pool } from 'pg'
import { Type } from 'typebox'
import { afterEach, beforeEach } from 'vitest'
import {
  defineJob,
  measureQueue,
  runJobs,
  type HandledJob,
  type JobContext,
  type RawQueries,
  type RunJobsOptions,
  type RunningJobs,
} from '../src/index.ts'
import { jobLog } from './job-log.ts'
import { createQueueDatabase } from './queue-database.ts'
import { toDatabase, toQueries } from '@repo/testing/to-database'

export const count = defineJob({
  name: 'test.count',
  payload: Type.Object({ n: Type.Integer() }),
  retry: { attempts: 3 },
})

// Made anew for each test of a file that imports this.
export let database: TestDatabase
export let pool: Pool
export let queries: RawQueries
export let lines: string[]

beforeEach(async () => {
  database = await createQueueDatabase()
  pool = new Pool({ connectionString: database.url, max: 2 })
  pool.on('error', () => {})
  queries = toQueries(pool)
  lines = []
})
afterEach(async () => {
  await pool.end()
  await database[Symbol.asyncDispose]()
})

/** A worker in this process, when it has begun. Its log goes to `lines`. */
export async function run(jobs: HandledJob[], options: Partial<RunJobsOptions> = {}): Promise<RunningJobs> {
  const running = await runJobs(database.url, {
    database: toDatabase(pool),
    jobs,
    log: jobLog((line) => lines.push(line)),
    ...options,
  })
  await pollUntil('the worker has begun', async () => {
    await running.check()
    return true
  })
  return running
}

/** How many jobs there are, however they stand. */
export async function depth(): Promise<number> {
  const { waiting, running, later, failed } = await measureQueue(queries)
  return waiting + running + later + failed
}

export async function untilAborted({ signal }: JobContext): Promise<never> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  throw signal.reason
}
