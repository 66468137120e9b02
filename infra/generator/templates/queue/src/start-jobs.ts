import { runJobs, type QueueLog, type RunningJobs } from '@repo/queue'
import { openDatabase } from './database.ts'
import type { Env } from './env.ts'
import { handleFinish } from './jobs/finish-item.ts'

/** Starts to run the jobs of the any-name worker. */
export async function startJobs(env: Env, log: QueueLog): Promise<RunningJobs> {
  await using opened = new AsyncDisposableStack()
  const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
  const jobs = opened.use(
    await runJobs(env.DATABASE_DIRECT_URL ?? env.DATABASE_URL, { database, jobs: [handleFinish()], log }),
  )
  const held = opened.move()
  return { ...jobs, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
