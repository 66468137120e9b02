import { loadEnv } from '@repo/config'
import { databaseEnv } from '@repo/database'
import { runJobs } from '@repo/queue'
import { runWorker, serviceEnv } from '@repo/service'
import { Type } from 'typebox'
import { handleAnyPart } from './jobs/any-part.ts'

const env = loadEnv(Type.Object({ ...serviceEnv, ...databaseEnv }), process.env)

await runWorker({
  name: 'any-name-worker',
  env,
  start: (log) => runJobs(env.DATABASE_URL, { jobs: [handleAnyPart()], log }),
})
