import { enqueue } from '@repo/queue'
import { fleet, pollUntil, type Fleet } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../src/database.ts'
import { addItem, readItem, type EnqueueFinish } from '../src/domain/items.ts'
import { finishJob } from '../src/jobs/finish-item.ts'

let workers: Fleet
beforeAll(async () => {
  workers = await fleet(new URL('..', import.meta.url), { process: 'any-name-worker' })
})
afterAll(() => workers[Symbol.asyncDispose]())

const enqueueFinish: EnqueueFinish = (transaction, itemId) => enqueue(transaction, finishJob, { itemId })

test('an item is finished by a worker, also when the other one is killed', async () => {
  await workers.kill(1)
  await using database = openDatabase(workers.env.DATABASE_URL!)
  const item = await addItem(database, 'one', enqueueFinish)
  expect(item.doneAt).toBeNull()
  await pollUntil('it is done', async () => (await readItem(database, item.id)).doneAt !== null)
})
