import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tablesOf } from '@repo/database/app-tables'
import { draftMigration } from '@repo/database/write-migration'
import { createEmptyDatabase, query, startProcess, type NodeProcess, type TestDatabase } from '@repo/testing'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { request } from 'undici'

// Real processes of a service with Prisma, killed in the middle of their transactions.

const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())
let database: TestDatabase

beforeAll(async () => {
  database = resources.use(await createEmptyDatabase())
  await query(database.url, await draftTable())
  await query(database.url, 'CREATE TABLE orders (id bigserial PRIMARY KEY, title text NOT NULL)')
})

/** The table as `pnpm migrate new` writes it for the model in the README. */
async function draftTable(): Promise<string> {
  const readme = await readFile(join(import.meta.dirname, '../../../packages/idempotency/README.md'), 'utf8')
  const [, model] = /```prisma\n([\s\S]*?)```/.exec(readme)!
  await using folder = await openTemporaryFolder('orders')
  await writeFile(
    join(folder.path, 'schema.prisma'),
    `datasource db {\n  provider = "postgresql"\n}\n\n${model}`,
  )
  return (await draftMigration(database.url, tablesOf(folder.path)))!
}

async function start(n: number): Promise<NodeProcess> {
  const env = {
    NODE_ENV: 'test',
    PUBLIC_ORIGIN: 'http://localhost',
    DRAIN_MS: '0',
    DATABASE_URL: database.url,
  }
  const started = await startProcess({
    name: `orders.${n}`,
    cwd: import.meta.dirname,
    entry: 'server.ts',
    env,
  })
  await started.ready
  return started
}

interface Answer {
  status: number
  text: string
  isReplayed: boolean
}

async function order(url: string, key: string, title: string): Promise<Answer> {
  const { statusCode, headers, body } = await request(`${url}/orders`, {
    method: 'POST',
    headers: { 'idempotency-key': `"${key}"`, 'content-type': 'application/json' },
    body: JSON.stringify({ title }),
    reset: true,
  })
  return {
    status: statusCode,
    text: await body.text(),
    isReplayed: headers['idempotent-replayed'] === 'true',
  }
}

test(
  'each order is made once, and answered alike each time, while its processes are killed with -9',
  { timeout: 180_000 },
  async () => {
    const processes = [await start(0), await start(1)]
    resources.defer(() => Promise.all(processes.map((it) => it.stop())).then(() => {}))
    const done = new AbortController()
    let kills = 0
    let repeated = 0

    /** Repeats one request until it has an answer, and then once more, on any process. */
    async function insist(title: string): Promise<void> {
      const key = randomUUID()
      const texts: string[] = []
      while (texts.length < 2) {
        const answer = await order(processes[Math.floor(Math.random() * 2)]!.url, key, title).catch(
          () => null,
        )
        if (answer?.status === 201) texts.push(answer.text)
        else await sleep(20 + Math.random() * 50)
        if (answer === null) repeated += 1
        // Nothing but: the process died, the key is in use, Postgres is still ending the transaction of a dead one.
        expect([null, 201, 409, 503]).toContain(answer?.status ?? null)
        if (texts.length === 2) expect(answer!.isReplayed).toBe(true)
      }
      expect(texts[1]).toBe(texts[0])
      expect(JSON.parse(texts[0]!)).toMatchObject({ title })
    }

    async function killInTurn(): Promise<void> {
      for (let n = 0; !done.signal.aborted; n += 1) {
        await sleep(300 + Math.random() * 300)
        const victim = processes[n % 2]!
        victim.kill('SIGKILL')
        await victim.exited
        kills += 1
        processes[n % 2] = await start(n % 2)
      }
    }

    const killing = killInTurn()
    const titles = Array.from({ length: 300 }, (_, n) => `order ${n}`)
    const waiting = titles.values()
    const clients = Array.from({ length: 8 }, async () => {
      for (const title of waiting) await insist(title)
    })
    await Promise.all(clients).finally(() => done.abort())
    await killing

    const made = await query<{ title: string; count: number }>(
      database.url,
      'SELECT title, count(*)::int FROM orders GROUP BY title',
    )
    expect(made.map(({ title }) => title).toSorted()).toEqual(titles.toSorted())
    expect(made.filter(({ count }) => count !== 1)).toEqual([])
    // Otherwise nothing was tried.
    expect(kills).toBeGreaterThanOrEqual(3)
    expect(repeated).toBeGreaterThanOrEqual(3)
  },
)
