import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A worker that acknowledges a job when it begins it: if the worker is killed meanwhile, the job is lost.
plant('packages/queue/src/run-job.ts', 'await run(payload, {', 'void run(payload, {')
