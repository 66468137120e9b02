import { runJobs, schedule, type QueueLog, type RunningJobs } from '@repo/queue'
import { openDatabase } from './database.ts'
import { createAddressCheck } from './domain/public-address.ts'
import { quotaOf, type WorkerEnv } from './env.ts'
import { endLost, handleEndLostImports } from './jobs/end-lost-imports.ts'
import { handleImportBookmarks } from './jobs/import-bookmarks.ts'

/** Starts the jobs of the bookmarks worker, and the schedule of the job that no request enqueues. */
export async function startJobs(env: WorkerEnv, log: QueueLog): Promise<RunningJobs> {
  await using opened = new AsyncDisposableStack()
  const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
  const jobs = await runJobs(env.DATABASE_DIRECT_URL ?? env.DATABASE_URL, {
    database,
    jobs: [
      handleImportBookmarks({
        database,
        maxBytes: env.IMPORT_MAX_BYTES,
        quota: quotaOf(env),
        isAllowedAddress: createAddressCheck(env.IMPORT_ALLOWED_ADDRESSES),
      }),
      handleEndLostImports(),
    ],
    schedules: [schedule(endLost, '*/15 * * * *', {})],
    concurrency: 2,
    // A long import is given back early enough to stop within the deadline; another worker continues it.
    abortAfterMs: env.SHUTDOWN_DEADLINE_MS / 2,
    log,
  })
  opened.use(jobs)
  const held = opened.move()
  return { ...jobs, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
