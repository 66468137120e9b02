import { loadEnv } from '@repo/config'
import { runWorker } from '@repo/service'
import { startJobs } from './start-jobs.ts'
import { workerEnv } from './worker-env.ts'

const env = loadEnv(workerEnv, process.env)

await runWorker({ name: 'accounts-worker', env, start: (log) => startJobs(env, log) })
