import { createError } from '@fastify/error'
import type { Transaction } from '../database.ts'

/** What one person may have. */
export interface Quota {
  maxBookmarks: number
  /** Of the texts in them, as UTF-8. */
  maxBytes: number
}

export const BookmarkQuotaExceeded = createError(
  'BOOKMARK_QUOTA_EXCEEDED',
  'You have as many bookmarks, or as much text in them, as one person may have. Remove some first.',
  403,
)

/**
 * Writes, and throws when the person then has more than the quota, so that the transaction takes it back. The count is kept by
 * Postgres in that transaction, on a row that the write holds until its end: so of two processes that write at once, the
 * second sees the first.
 * Whoever has too much already, because the quota was larger, may still write what makes it no more.
 *
 * @throws BOOKMARK_QUOTA_EXCEEDED
 */
export async function withinQuota<Result>(
  transaction: Transaction,
  userId: string,
  { maxBookmarks, maxBytes }: Quota,
  write: () => Promise<Result>,
): Promise<Result> {
  const before = await readUsage(transaction, userId)
  const result = await write()
  const after = await readUsage(transaction, userId)
  if (
    after.bookmarks > Math.max(maxBookmarks, before.bookmarks) ||
    after.bytes > Math.max(maxBytes, before.bytes)
  ) {
    throw new BookmarkQuotaExceeded()
  }
  return result
}

async function readUsage(
  transaction: Transaction,
  userId: string,
): Promise<{ bookmarks: number; bytes: number }> {
  const usage = await transaction.bookmarkUsage.findUnique({ where: { userId } })
  return { bookmarks: usage?.bookmarks ?? 0, bytes: Number(usage?.bytes ?? 0) }
}
