import { PgBoss, fromPrisma } from 'pg-boss'
import type { Engine, Payload } from '../engine.ts'

// The shortest times that pg-boss accepts: a heartbeat of 10 s, checked once a second.
const recovery = { heartbeatSeconds: 10 }
const supervision = { superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 }

function open(url: string, supervise: boolean): PgBoss {
  const boss = new PgBoss({
    connectionString: url,
    supervise,
    schedule: false,
    useListenNotify: supervise,
    ...supervision,
  })
  boss.on('error', () => {})
  return boss
}

export const engine: Engine = {
  async install(url) {
    const boss = await open(url, false).start()
    await boss.createQueue('bench', { notify: true, retryLimit: 5, ...recovery })
    await boss.stop()
  },
  async openEnqueuer(url) {
    const boss = await open(url, false).start()
    return {
      async enqueue(tx, payload) {
        await boss.send('bench', payload, { db: fromPrisma(tx as never) })
      },
      close: () => boss.stop(),
    }
  },
  async work(url, handle) {
    const boss = await open(url, true).start()
    // Batches, because only they take the next jobs at once: ten workers with one job each would wait for the next poll.
    await boss.work(
      'bench',
      {
        batchSize: 10,
        burstWhenBatchFull: true,
        // Jobs that are retried are not announced. Without this they would wait for the fallback poll of 30 s.
        pollingIntervalSeconds: 0.5,
        notifyPollingIntervalSeconds: 0.5,
      },
      async (jobs) => {
        await Promise.all(jobs.map(({ data }) => handle(data as Payload)))
      },
    )
  },
}
