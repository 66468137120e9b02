import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A worker that says a job is done when it has begun it: who is killed in between has lost it.
plant('packages/queue/src/run-job.ts', 'await run(payload, {', 'void run(payload, {')
