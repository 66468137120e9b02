import { createError } from '@fastify/error'
import type { Transaction } from '../database.ts'

/** What one user may have. */
export interface Quota {
  maxBookmarks: number
  /** Of their texts, as UTF-8. */
  maxBytes: number
}

export const BookmarkQuotaExceeded = createError(
  'BOOKMARK_QUOTA_EXCEEDED',
  'You have as many bookmarks, or as much text in them, as one person may have. Remove some first.',
  403,
)

/**
 * Runs `write`, and throws when the user then exceeds the quota, so that the transaction rolls back. Postgres keeps the
 * count in that transaction, on a row that the write locks until its end: of two concurrent writes, the second sees the
 * first. A user who already exceeds the quota, because it was larger before, may still make writes that add nothing to it.
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
