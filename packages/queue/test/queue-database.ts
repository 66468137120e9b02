import { createEmptyDatabase, type TestDatabase } from '@repo/testing'
import { migrateQueue } from '../src/index.ts'

let template: Promise<TestDatabase> | undefined

/** A database with a queue and nothing else, made once for each test file, and then cloned. */
export async function createQueueDatabase(): Promise<TestDatabase> {
  template ??= makeTemplate()
  const { url } = await template
  return createEmptyDatabase(new URL(url).pathname.slice(1))
}

async function makeTemplate(): Promise<TestDatabase> {
  const database = await createEmptyDatabase()
  await migrateQueue(database.url, 'public')
  return database
}
