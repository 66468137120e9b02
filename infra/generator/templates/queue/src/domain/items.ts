import { createError } from '@fastify/error'
import type { Database, Transaction } from '../database.ts'

export interface Item {
  id: string
  title: string
  doneAt: Date | null
  createdAt: Date
}

/** Enqueues the job that finishes an item, in the transaction that adds the item. */
export type EnqueueFinish = (transaction: Transaction, itemId: string) => Promise<unknown>

export const AnyNameItemNotFound = createError('ANY_NAME_ITEM_NOT_FOUND', 'There is no such item.', 404)

const fields = { id: true, title: true, doneAt: true, createdAt: true } as const

/** Adds an item and the job that finishes it, in one transaction: neither exists without the other. */
export async function addItem(
  database: Database,
  title: string,
  enqueueFinish: EnqueueFinish,
): Promise<Item> {
  return await database.$transaction(async (transaction) => {
    const item = await transaction.anyNameItem.create({ data: { title }, select: fields })
    await enqueueFinish(transaction, item.id)
    return item
  })
}

/** The newest 100 items, the newest first. */
export async function listItems(database: Database): Promise<Item[]> {
  return await database.anyNameItem.findMany({ orderBy: { id: 'desc' }, take: 100, select: fields })
}

/** @throws ANY_NAME_ITEM_NOT_FOUND */
export async function readItem(database: Database, id: string): Promise<Item> {
  const item = await database.anyNameItem.findUnique({ where: { id }, select: fields })
  if (!item) throw new AnyNameItemNotFound()
  return item
}

/** Marks an item as done. A second call changes nothing, because a job may run again. */
export async function finishItem(transaction: Transaction, id: string): Promise<void> {
  await transaction.anyNameItem.updateMany({ where: { id, doneAt: null }, data: { doneAt: new Date() } })
}
