export {
  defineJob,
  enqueue,
  PayloadInvalid,
  type Job,
  type JobOptions,
  type RawQueries,
  type Trace,
} from './define-job.ts'
export { listFailed, measureQueue, retryFailed, type FailedJob, type QueueDepth } from './failed-jobs.ts'
export { migrateQueue, moveJobs } from './queue-tables.ts'
export {
  handle,
  JobTakenOver,
  type HandledJob,
  type JobContext,
  type QueueLog,
  type TransactionSource,
} from './run-job.ts'
export { runJobs, type RunJobsOptions, type RunningJobs } from './run-jobs.ts'
export { schedule, type Schedule } from './schedule.ts'
