import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import type { Engine, Payload } from '../engine.ts'

const logger = new Logger(() => () => {})

export const engine: Engine = {
  async install(url) {
    const utils = await makeWorkerUtils({ connectionString: url, logger })
    await utils.migrate()
    await utils.release()
  },
  async openEnqueuer() {
    return {
      async enqueue(tx, payload) {
        await tx.$queryRawUnsafe(
          `SELECT id FROM graphile_worker.add_job('bench', $1::json)`,
          JSON.stringify(payload),
        )
      },
      async close() {},
    }
  },
  async work(url, handle) {
    await run({
      connectionString: url,
      // Takes and completes jobs in batches, as pg-boss does.
      preset: {
        worker: { concurrentJobs: 10, maxPoolSize: 11, localQueue: { size: 20 }, completeJobBatchDelay: 0 },
      },
      noHandleSignals: true,
      logger,
      taskList: { bench: (payload) => handle(payload as Payload) },
    })
  },
}
