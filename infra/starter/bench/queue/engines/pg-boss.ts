import { PgBoss, fromPrisma } from 'pg-boss'
import type { Engine, Payload } from '../engine.ts'

// The shortest that it accepts: a heartbeat of 10 s, looked at once a second.
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
    // One job at a time and ten of these would wait out the poll interval between jobs of a backlog; only batches burst.
    await boss.work(
      'bench',
      {
        batchSize: 10,
        burstWhenBatchFull: true,
        // A job that is handed on is not announced: without this it waits for the backstop poll of 30 s.
        pollingIntervalSeconds: 0.5,
        notifyPollingIntervalSeconds: 0.5,
      },
      async (jobs) => {
        await Promise.all(jobs.map(({ data }) => handle(data as Payload)))
      },
    )
  },
}
