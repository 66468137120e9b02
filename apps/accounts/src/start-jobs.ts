import { openMailer } from '@repo/mail'
import { runJobs, type QueueLog, type RunningJobs } from '@repo/queue'
import { openDatabase } from './database.ts'
import { createTokens } from './domain/mailed-link.ts'
import { mailJobs } from './jobs/send-mail.ts'
import type { WorkerEnv } from './worker-env.ts'

/** Starts to run the jobs of the accounts worker. */
export async function startJobs(env: WorkerEnv, log: QueueLog): Promise<RunningJobs> {
  await using opened = new AsyncDisposableStack()
  const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
  const jobs = opened.use(
    await runJobs(env.DATABASE_DIRECT_URL ?? env.DATABASE_URL, {
      database,
      jobs: mailJobs({
        mailer: opened.use(openMailer(env.MAIL_URL, { from: env.MAIL_FROM })),
        tokenOf: createTokens(env.SESSION_SECRETS[0]!),
        origin: env.PUBLIC_ORIGIN,
      }),
      log,
    }),
  )
  const held = opened.move()
  return { ...jobs, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
