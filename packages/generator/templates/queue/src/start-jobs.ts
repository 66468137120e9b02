import { openDatabase } from '@repo/database'
import { runJobs, type QueueLog, type RunningJobs } from '@repo/queue'
import type { Env } from './env.ts'
import { handleFinish } from './jobs/finish-item.ts'

/** The jobs of the any-name worker. */
export async function startJobs(env: Env, log: QueueLog): Promise<RunningJobs> {
  const database = openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX })
  const jobs = await runJobs(env.DATABASE_URL, { jobs: [handleFinish({ database })], log })
  return {
    ...jobs,
    async [Symbol.asyncDispose]() {
      await jobs[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}
