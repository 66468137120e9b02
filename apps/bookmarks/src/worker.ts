import { loadEnv } from '@repo/config'
import { runWorker } from '@repo/service'
import { workerEnv } from './env.ts'
import { startJobs } from './start-jobs.ts'

const env = loadEnv(workerEnv, process.env)

await runWorker({ name: 'bookmarks-worker', env, start: (log) => startJobs(env, log) })
