import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { openDatabase } from '@repo/database'
import { defineJob, enqueue, handle, measureQueue, runJobs, type QueueLog } from '@repo/queue'
import { createDatabase, pollUntil } from '@repo/testing'
import { Type } from 'typebox'
import { expect, test } from 'vitest'

const log: QueueLog = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }

test('shows what failed for good, and has it tried again', async () => {
  await using server = await createDatabase()
  await using database = openDatabase(server.url)
  expect(await jobs(server.url)).toMatchObject({ code: 0, out: '0 waiting, 0 running, 0 later, 0 failed\n' })
  expect(await jobs(server.url, '--failed')).toMatchObject({ code: 0, out: 'No job has failed for good.\n' })
  expect(await jobs(server.url, 'retry', '--all')).toMatchObject({
    code: 1,
    err: 'No job has failed for good.\n',
  })

  const pay = defineJob({ name: 'orders.pay', payload: Type.Object({}), retry: { attempts: 1 } })
  const { id } = await enqueue(database, pay, {})
  const failing = handle(pay, async () => {
    throw new Error('no money')
  })
  const running = await runJobs(server.url, { database, log, jobs: [failing] })
  const hasFailed = async () => (await measureQueue(database)).failed === 1
  await pollUntil('it has failed', hasFailed)
  await running[Symbol.asyncDispose]()

  const { out } = await jobs(server.url, '--failed', '--json')
  const failed = { id, job: 'orders.pay', error: 'no money', failedAt: expect.any(String) }
  expect(JSON.parse(out.trim().split('\n').at(-1)!)).toEqual({ failed: [failed] })
  expect(await jobs(server.url, 'retry', '999')).toMatchObject({
    code: 1,
    err: 'No job 999 has failed for good.\n',
  })
  expect(await jobs(server.url, 'retry', id)).toMatchObject({
    code: 0,
    out: 'One job will be tried again.\n',
  })
  expect(await jobs(server.url, '--json')).toMatchObject({
    out: '1 waiting, 0 running, 0 later, 0 failed\n{"waiting":1,"running":0,"later":0,"failed":0}\n',
  })
}, 60_000)

test('help fits a screen, and what it does not know is a failure', async () => {
  const { code, out } = await jobs(undefined, '--help')
  expect(code).toBe(0)
  expect(out.split('\n').length).toBeLessThan(24)
  expect(await jobs(undefined, 'retry')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^That is not a command/),
  })
  expect(await jobs(undefined, 'everything')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^That is not a command/),
  })
}, 60_000)

async function jobs(
  url: string | undefined,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  return await new Promise((resolve) => {
    const env = { ...process.env, DATABASE_URL: url }
    execFile(
      process.execPath,
      [fileURLToPath(new URL('main.ts', import.meta.url)), ...args],
      { env },
      (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })
}
