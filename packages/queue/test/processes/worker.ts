import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'pg'
import { handle, runJobs, schedule, type JobContext } from '../../src/index.ts'
import { jobLog } from '../job-log.ts'
import { toDatabase } from '@repo/testing/to-database'
import { note, once, store, wait } from './jobs.ts'

/** A worker process of its own, for the tests that kill, freeze and stop one. */
const url = process.env.DATABASE_URL!
const pool = new Pool({ connectionString: url, max: 2 })
pool.on('error', () => {})
const insert = 'INSERT INTO runs (job, pid, event) VALUES ($1, $2, $3)'
const write = (job: string, event: string): Promise<unknown> => pool.query(insert, [job, process.pid, event])

const jobs = await runJobs(url, {
  database: toDatabase(pool),
  log: jobLog((line) => console.log(line)),
  leaseMs: Number(process.env.LEASE_MS),
  abortAfterMs: 200,
  jobs: [
    handle(note, async ({ text }) => {
      await write('note', text)
    }),
    handle(wait, waitFor),
    handle(once, waitFor, { giveUp: (_, tx) => tx.$queryRawUnsafe(insert, 'once', process.pid, 'given up') }),
    handle(store, async ({ ms }, { attempt, transaction }) => {
      await write('store', `begun ${attempt}`)
      await sleep(ms)
      await transaction((tx) => tx.$queryRawUnsafe(insert, 'store', process.pid, `stored ${attempt}`))
    }),
  ],
  schedules: process.env.SCHEDULE ? [schedule(note, process.env.SCHEDULE, { text: 'tick' })] : [],
})

process.on('SIGTERM', async () => {
  await jobs[Symbol.asyncDispose]()
  await pool.end()
})

async function waitFor({ ms }: { ms: number }, { signal, attempt }: JobContext): Promise<void> {
  await write('wait', `begun ${attempt}`)
  await sleep(ms, undefined, { signal }).catch(async (error: unknown) => {
    await write('wait', `aborted ${attempt}`)
    throw error
  })
  await write('wait', `ended ${attempt}`)
}
