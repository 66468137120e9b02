import { loadEnv } from '@repo/config'
import { runWorker } from '@repo/service'
import { envSchema } from './env.ts'
import { startJobs } from './start-jobs.ts'

const env = loadEnv(envSchema, process.env)

await runWorker({ name: 'any-name-worker', env, start: (log) => startJobs(env, log) })
