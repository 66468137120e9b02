import { createError } from '@fastify/error'
import type { Database } from '../database.ts'

export interface Item {
  id: string
  title: string
  doneAt: Date | null
  createdAt: Date
}

export const OwnNameItemNotFound = createError('OWN_NAME_ITEM_NOT_FOUND', 'There is no such item.', 404)

const fields = { id: true, title: true, doneAt: true, createdAt: true } as const

export async function addItem(database: Database, userId: string, title: string): Promise<Item> {
  return await database.ownNameItem.create({ data: { userId, title }, select: fields })
}

/** The newest 100 items of a user, the newest first. */
export async function listItems(database: Database, userId: string): Promise<Item[]> {
  return await database.ownNameItem.findMany({
    where: { userId },
    orderBy: { id: 'desc' },
    take: 100,
    select: fields,
  })
}

/** @throws OWN_NAME_ITEM_NOT_FOUND */
export async function readItem(database: Database, userId: string, id: string): Promise<Item> {
  const item = await database.ownNameItem.findUnique({ where: { id, userId }, select: fields })
  if (!item) throw new OwnNameItemNotFound()
  return item
}

/** Marks an item as done. A second call changes nothing. @throws OWN_NAME_ITEM_NOT_FOUND */
export async function finishItem(database: Database, userId: string, id: string): Promise<Item> {
  await database.ownNameItem.updateMany({ where: { id, userId, doneAt: null }, data: { doneAt: new Date() } })
  return await readItem(database, userId, id)
}
