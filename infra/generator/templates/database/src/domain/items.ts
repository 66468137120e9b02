import { createError } from '@fastify/error'
import type { Database } from '../database.ts'

export interface Item {
  id: string
  title: string
  doneAt: Date | null
  createdAt: Date
}

export const AnyNameItemNotFound = createError('ANY_NAME_ITEM_NOT_FOUND', 'There is no such item.', 404)

const fields = { id: true, title: true, doneAt: true, createdAt: true } as const

export async function addItem(database: Database, title: string): Promise<Item> {
  return await database.anyNameItem.create({ data: { title }, select: fields })
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

/** Marks an item as done. A second call changes nothing. @throws ANY_NAME_ITEM_NOT_FOUND */
export async function finishItem(database: Database, id: string): Promise<Item> {
  await database.anyNameItem.updateMany({ where: { id, doneAt: null }, data: { doneAt: new Date() } })
  return await readItem(database, id)
}
