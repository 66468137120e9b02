import { loadEnv } from '@repo/config'
import { databaseEnv } from '@repo/database'
import { runJobs } from '@repo/queue'
import { runWorker, serviceEnv } from '@repo/service'
import { Type } from 'typebox'
import { openDatabase } from './database.ts'
import { handleAnyPart } from './jobs/any-part.ts'

const env = loadEnv(Type.Object({ ...serviceEnv, ...databaseEnv }), process.env)

await runWorker({
  name: 'any-name-worker',
  env,
  async start(log) {
    await using opened = new AsyncDisposableStack()
    const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
    const jobs = opened.use(
      await runJobs(env.DATABASE_DIRECT_URL ?? env.DATABASE_URL, { database, jobs: [handleAnyPart()], log }),
    )
    const held = opened.move()
    return { ...jobs, [Symbol.asyncDispose]: () => held.disposeAsync() }
  },
})
