import { join, resolve } from 'node:path'
import { listAppTables } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { defineJob, enqueue, handle, measureQueue, runJobs, type QueueLog } from '@repo/queue'
import { createEmptyDatabase, pollUntil } from '@repo/testing'
import { Pool } from 'pg'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { runCommand } from '../test/run-command.ts'

const log: QueueLog = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const apps = listAppTables(resolve(import.meta.dirname, '../../apps'))
const withQueue = apps.filter(({ hasQueue }) => hasQueue).map(({ app }) => app)
const jobs = (url: string | undefined, ...args: string[]) =>
  runCommand(join(import.meta.dirname, 'main.ts'), args, { DATABASE_URL: url })

// Only when an app of this clone has jobs.
test.runIf(withQueue.length > 0)(
  'shows what failed for good, and has it tried again',
  async () => {
    const app = withQueue[0]!
    await using server = await createEmptyDatabase()
    const release = join(import.meta.dirname, '../migrate/main.ts')
    expect(await runCommand(release, [], { DATABASE_URL: server.url })).toMatchObject({ code: 0 })
    const url = shareUrl(server.url, app)
    const pool = new Pool({ connectionString: url })
    await using _ = { [Symbol.asyncDispose]: () => pool.end() }
    const queries = {
      $queryRawUnsafe: async <T>(sql: string, ...values: unknown[]) =>
        (await pool.query(sql, values)).rows as T,
    }

    const nothing = `${app}: 0 waiting, 0 running, 0 later, 0 failed\n`
    expect(await jobs(server.url, app)).toMatchObject({ code: 0, out: nothing })
    expect(await jobs(server.url, app, '--failed')).toMatchObject({
      code: 0,
      out: `No job of ${app} has failed for good.\n`,
    })
    expect(await jobs(server.url, 'retry', '--all')).toMatchObject({
      code: 1,
      err: 'No job has failed for good.\n',
    })

    const pay = defineJob({ name: `${app}.pay`, payload: Type.Object({}), retry: { attempts: 1 } })
    const { id } = await enqueue(queries, pay, {})
    const failing = handle(pay, async () => {
      throw new Error('no money')
    })
    const database = { $transaction: () => Promise.reject(new Error('It writes nothing')) }
    const running = await runJobs(url, { database, log, jobs: [failing] })
    const hasFailed = async () => (await measureQueue(queries)).failed === 1
    await pollUntil('it has failed', hasFailed)
    await running[Symbol.asyncDispose]()

    const { out } = await jobs(server.url, app, '--failed', '--json')
    const failed = { id, job: `${app}.pay`, error: 'no money', failedAt: expect.any(String) }
    expect(JSON.parse(out.trim().split('\n').at(-1)!)).toEqual({ [app]: [failed] })
    expect(await jobs(server.url, 'retry', `${app}/999`)).toMatchObject({
      code: 1,
      err: `No job ${app}/999 has failed for good.\n`,
    })
    expect(await jobs(server.url, 'retry', `${app}/${id}`)).toMatchObject({
      code: 0,
      out: 'One job will be tried again.\n',
    })
    expect(await jobs(server.url, app, '--json')).toMatchObject({
      out: `${app}: 1 waiting, 0 running, 0 later, 0 failed\n{"${app}":{"waiting":1,"running":0,"later":0,"failed":0}}\n`,
    })
  },
  120_000,
)

test('help fits on a screen, and an unknown word is an error', async () => {
  const { code, out } = await jobs(undefined, '--help')
  expect(code).toBe(0)
  expect(out.split('\n').length).toBeLessThan(24)
  expect(await jobs(undefined, 'retry')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^That is not a command/),
  })
  expect(await jobs(undefined, 'everything')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^No app everything has jobs/),
  })
}, 60_000)
