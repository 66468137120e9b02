import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { query } from '@repo/testing/create-database'
import { Agent } from 'undici'
import { atLeast, atMost, none, type Attack } from '../../../../../infra/prove/attack.ts'
import { signUp } from '../../../../../infra/prove/load/person.ts'

const IMPORTS = '/api/bookmarks/imports/'
const LINKS = 100

/** A worker that cannot start tries again about once a second. */
const FAILED_STARTS_MS = 6000
/** Time for a thawed worker to make a mistake. */
const THAWED_MS = 1500
/** A lease ends after 15 s; the rest is for a busy machine. */
const HANDED_ON_MS = 30_000

/** One import whose file is held back, so that each fault meets its worker in the middle of the job. */
export const workerLease: Attack = {
  name: 'worker-lease',
  does: 'workers are restarted in the middle of a job, then cannot start for 6 s; then one is frozen while Postgres ends its session',
  claim:
    'a restart does not count as an attempt; a failed start leaves no connection open; a write without a lease is refused',
  needs: ['haproxy'],
  async run({ deployment, note }) {
    await using resources = new AsyncDisposableStack()
    const agent = new Agent()
    resources.defer(() => agent.destroy())
    const { url: database } = deployment.postgres
    const count = async (sql: string): Promise<number> =>
      (await query<{ count: number }>(database, sql))[0]?.count ?? 0
    const file = resources.use(await serveHeldBack())
    const begunMoreOftenThan = (times: number): Promise<void> =>
      pollUntil('the job has begun', () => file.held.length > times, { deadlineMs: HANDED_ON_MS })
    const workers = deployment.inhabited().filter(({ type }) => type.name === 'bookmarks-worker')
    const [first, ...others] = workers
    const email = `importer-${process.pid}-${Date.now()}@prove.example`
    const person = await signUp({ url: deployment.url, dispatcher: agent }, email)
    const { headers } = await person.ask({ method: 'POST', path: IMPORTS, json: { url: file.url } })
    await begunMoreOftenThan(0)

    for (const worker of workers) {
      note(`stop ${worker.name} in the middle of the job`)
      await worker.stop()
      await worker.start()
    }
    await begunMoreOftenThan(1)
    const attempts = await count(countAttempts)

    note('no worker can start')
    await Promise.all(workers.map((worker) => worker.stop()))
    await query(database, 'ALTER TABLE bookmarks_queue.queue_workers RENAME TO workers_to_come')
    const starting = Promise.all(workers.map((worker) => worker.start()))
    await sleep(FAILED_STARTS_MS)
    const leases = await count(countLeases)
    await query(database, 'ALTER TABLE bookmarks_queue.workers_to_come RENAME TO queue_workers')
    await starting

    await Promise.all(others.map((worker) => worker.stop()))
    const hasIt = async (): Promise<boolean> =>
      (await count(countRunning)) === 1 && !file.held.at(-1)!.destroyed
    await pollUntil(`${first!.name} has the job`, hasIt, { deadlineMs: HANDED_ON_MS })
    note('freeze the worker that has the job, and end its session')
    first!.freeze()
    await query(database, endLeases)
    const times = file.held.length
    await Promise.all(others.map((worker) => worker.start()))
    await begunMoreOftenThan(times)
    note('thaw it: its download has broken off, which it takes for the end of the import')
    for (const response of file.held.slice(0, -1)) response.destroy()
    first!.thaw()
    await sleep(THAWED_MS)
    for (const response of file.held) finish(response)

    let progress = { status: 'not asked', imported: 0 }
    const hasEnded = async (): Promise<boolean> => {
      const { text } = await person.ask({ method: 'GET', path: String(headers.location) })
      progress = (JSON.parse(text) as { import: typeof progress }).import
      return progress.status === 'done' || progress.status === 'failed'
    }
    await pollUntil('the import has ended', hasEnded, { deadlineMs: HANDED_ON_MS }).catch(() => {})
    return [
      atLeast('times the job was begun', file.held.length, 3),
      atMost('attempts counted after two restarts', attempts, 1),
      atMost('connections that hold a lease while no worker can start', leases, workers.length),
      none('imports that ended other than done', Number(progress.status !== 'done')),
      none('links missing or too many', Math.abs(LINKS - progress.imported)),
    ]
  },
}

const countAttempts = `SELECT attempts::int AS count FROM bookmarks_queue.jobs WHERE task_identifier = 'bookmarks.import'`
const countRunning = `
  SELECT count(*)::int FROM bookmarks_queue.jobs WHERE task_identifier = 'bookmarks.import' AND locked_at IS NOT NULL`
const countLeases = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name LIKE 'queue lease%'`
const endLeases = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'queue lease%'`

/** Serves one file, and holds back its end from each client. */
async function serveHeldBack(): Promise<AsyncDisposable & { url: string; held: ServerResponse[] }> {
  const held: ServerResponse[] = []
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.write('<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n')
    // The worker gives up an idle download after ten seconds.
    const drip = setInterval(() => response.write('\n'), 1000)
    response.on('close', () => clearInterval(drip))
    held.push(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    held,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function finish(response: ServerResponse): void {
  const links = Array.from(
    { length: LINKS },
    (_, n) => `<DT><A HREF="https://prove.example/lease/${n}">${n}</A>\n`,
  )
  response.end(`${links.join('')}</DL><p>\n`)
}
