import { Type } from 'typebox'
import {
  defineJob,
  enqueue,
  handle,
  migrateQueue,
  runJobs,
  type QueueLog,
} from '../../../../../packages/queue/src/index.ts'
import type { Engine } from '../engine.ts'

const job = defineJob({
  name: 'bench',
  payload: Type.Object({
    number: Type.Integer(),
    takesMs: Type.Optional(Type.Number()),
    blocks: Type.Optional(Type.Boolean()),
  }),
})

const log: QueueLog = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }

/** packages/queue: graphile-worker with a lease. */
export const engine: Engine = {
  install: (url) => migrateQueue(url, 'public'),
  async openEnqueuer() {
    return {
      async enqueue(tx, payload) {
        await enqueue(tx, job, payload)
      },
      async close() {},
    }
  },
  async work(url, run) {
    const database = { $transaction: () => Promise.reject(new Error('These jobs write nothing')) }
    await runJobs(url, { database, concurrency: 10, log, jobs: [handle(job, run)] })
  },
}
