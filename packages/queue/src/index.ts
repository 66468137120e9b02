export { defineJob, PayloadInvalid, type Job, type JobOptions } from './define-job.ts'
export { enqueue, type RawQueries } from './enqueue.ts'
export { listFailed, measureQueue, retryFailed, type FailedJob, type QueueDepth } from './failed-jobs.ts'
export { migrateQueue } from './migrate-queue.ts'
export { moveJobs } from './move-jobs.ts'
export {
  handle,
  runJobs,
  type HandledJob,
  type JobContext,
  type QueueLog,
  type RunJobsOptions,
  type RunningJobs,
  type TransactionSource,
} from './run-jobs.ts'
export { JobTakenOver } from './run-job.ts'
export { schedule, type Schedule } from './schedule.ts'
