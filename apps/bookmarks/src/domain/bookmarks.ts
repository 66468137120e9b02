import { createError } from '@fastify/error'
import type { LimitedQueries } from '@repo/database'
import type { Database, Transaction } from '../database.ts'
import {
  limits,
  tidyLine,
  tidyNotes,
  tidyTags,
  webUrl,
  wholeSecond,
  type BookmarkFields,
  type FiledBookmark,
} from './bookmark.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import { withinQuota, type Quota } from './quota.ts'

/** A stored bookmark of a user. */
export interface Bookmark extends FiledBookmark {
  id: string
}

export const BookmarkNotFound = createError('BOOKMARK_NOT_FOUND', 'You have no such bookmark.', 404)
export const BookmarkExists = createError(
  'BOOKMARK_EXISTS',
  'You already have a bookmark of this address.',
  409,
)
export const BookmarkUrlInvalid = createError(
  'BOOKMARK_URL_INVALID',
  `A bookmark needs an http or https address of at most ${limits.url} characters.`,
  400,
)

const fields = {
  id: true,
  url: true,
  title: true,
  notes: true,
  tags: true,
  folder: true,
  createdAt: true,
} as const

/** @throws BOOKMARK_URL_INVALID, BOOKMARK_EXISTS, BOOKMARK_QUOTA_EXCEEDED */
export async function addBookmark(
  database: Database,
  quota: Quota,
  userId: string,
  { url, title = '', notes = '', tags = [] }: Partial<BookmarkFields> & { url: string },
): Promise<Bookmark> {
  const data = {
    ...tidy({ url, title, notes, tags }),
    userId,
    folder: [],
    createdAt: wholeSecond(Date.now()),
  }
  return refuseSecond(() =>
    database.$transaction((tx) =>
      withinQuota(tx, userId, quota, () => tx.bookmark.create({ data, select: fields })),
    ),
  )
}

/** @throws BOOKMARK_NOT_FOUND */
export async function readBookmark(database: Database, userId: string, id: string): Promise<Bookmark> {
  const bookmark = await database.bookmark.findUnique({ where: { id, userId }, select: fields })
  if (!bookmark) throw new BookmarkNotFound()
  return bookmark
}

/** @throws BOOKMARK_NOT_FOUND, BOOKMARK_URL_INVALID, BOOKMARK_EXISTS, BOOKMARK_QUOTA_EXCEEDED */
export async function changeBookmark(
  database: Database,
  quota: Quota,
  userId: string,
  id: string,
  change: Partial<BookmarkFields>,
): Promise<Bookmark> {
  const data = tidy(change)
  const [bookmark] = await refuseSecond(() =>
    database.$transaction((tx) =>
      withinQuota(tx, userId, quota, () =>
        tx.bookmark.updateManyAndReturn({ where: { id, userId }, data, select: fields }),
      ),
    ),
  )
  if (!bookmark) throw new BookmarkNotFound()
  return bookmark
}

/** @throws BOOKMARK_NOT_FOUND */
export async function removeBookmark(database: Database, userId: string, id: string): Promise<void> {
  const { count } = await database.bookmark.deleteMany({ where: { id, userId } })
  if (count === 0) throw new BookmarkNotFound()
}

/** The limits of searches, which read all bookmarks of a user. */
export const searchLimits = { name: 'bookmarks.search', answerWithinMs: 2_000 }

/**
 * A page of the bookmarks of a user, newest first.
 * @param query.q is searched for in title, URL and notes, in any case; `tag` must match exactly. An empty text is no filter.
 * @param limitSearch created with {@link searchLimits}.
 * @param signal aborted when the client does not wait for the page any more.
 * @throws CURSOR_INVALID; with `q` or `tag` also QUERY_TOO_SLOW, QUERY_UNDER_WAY, QUERIES_BUSY
 */
export async function listBookmarks(
  database: Database,
  limitSearch: LimitedQueries<Transaction>,
  userId: string,
  query: { limit: number; cursor?: string; q?: string; tag?: string },
  signal?: AbortSignal,
): Promise<{ bookmarks: Bookmark[]; nextCursor: string | null }> {
  const after = query.cursor ? parseCursor(query.cursor) : null
  const found = query.q ? { contains: literal(query.q), mode: 'insensitive' as const } : null

  const find = (client: Transaction): Promise<Bookmark[]> =>
    client.bookmark.findMany({
      where: {
        userId,
        ...(query.tag && { tags: { has: query.tag } }),
        // Older, or of the same second with a lower id. In this form the index can begin where the last page ended.
        ...(after && { createdAt: { lte: after.createdAt } }),
        AND: [
          after ? { OR: [{ createdAt: { lt: after.createdAt } }, { id: { lt: after.id } }] } : {},
          found ? { OR: [{ title: found }, { url: found }, { notes: found }] } : {},
        ],
      },
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      take: query.limit + 1,
      select: fields,
    })
  const rows = query.q || query.tag ? await limitSearch(userId, find, signal) : await find(database)

  const bookmarks = rows.slice(0, query.limit)
  const last = bookmarks.at(-1)
  return { bookmarks, nextCursor: last && rows.length > query.limit ? formatCursor(last) : null }
}

/** All bookmarks of a user, sorted by folder, in batches. It reads a batch only when the caller asks for it. */
export async function* exportBookmarks(database: Database, userId: string): AsyncGenerator<Bookmark[]> {
  let last = { folder: [] as string[], createdAt: new Date(0), id: '' }
  for (;;) {
    const batch = await database.query<Bookmark>(nextBatch, [userId, last.folder, last.createdAt, last.id])
    if (batch.length === 0) return
    yield batch
    last = batch.at(-1)!
  }
}

// Arrays of names sort in the order of the folder tree.
const nextBatch = `
  SELECT id, url, title, notes, tags, folder, created_at AS "createdAt" FROM bookmarks
  WHERE user_id = $1 AND (folder, created_at, id) > ($2::text[], $3, $4)
  ORDER BY folder, created_at, id LIMIT 200`

function tidy<Fields extends Partial<BookmarkFields>>({ url, title, notes, tags }: Fields) {
  const address = url === undefined ? undefined : webUrl(url)
  if (address === null) throw new BookmarkUrlInvalid()
  return {
    ...(address !== undefined && { url: address }),
    ...(title !== undefined && { title: tidyLine(title) }),
    ...(notes !== undefined && { notes: tidyNotes(notes) }),
    ...(tags !== undefined && { tags: tidyTags(tags) }),
  } as Pick<BookmarkFields, keyof Fields & keyof BookmarkFields>
}

/** Prisma passes % and _ on to LIKE, where they would match anything. */
function literal(text: string): string {
  return text.replace(/[\\%_]/g, String.raw`\$&`)
}

/** The unique index decides, so two concurrent requests cannot both add a URL. */
async function refuseSecond<Result>(write: () => Promise<Result>): Promise<Result> {
  try {
    return await write()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'P2002') throw new BookmarkExists()
    throw error
  }
}
