import { randomUUIDv7 } from 'node:crypto'
import type { Transaction } from '../database.ts'
import { limits, type FiledBookmark } from './bookmark.ts'
import { ImportProblem } from './import-problem.ts'
import { BookmarkQuotaExceeded, withinQuota, type Quota } from './quota.ts'

/** Enough to be worth a statement, few enough to show progress and to lose little when the worker dies. */
const maxBatchLinks = 500

/** In characters. Links may be long, and a batch is several times in memory on its way to Postgres. */
const maxBatchLength = 512 * 1024

/** The import that a worker has to run. */
export interface PendingImport {
  id: string
  userId: string
  /** The address of the file; null when the file was uploaded. */
  url: string | null
  createdAt: Date
}

/** A link of the file: a bookmark, or null when it is no web address. */
type Link = FiledBookmark | null

/** Each call is a transaction of its own. It is refused when another worker has taken over the import. */
export type Write = <Result>(work: (transaction: Transaction) => Promise<Result>) => Promise<Result>

/** Marks an import as running. @returns null when it has already ended, for example when its job runs a second time. */
export async function beginImport(transaction: Transaction, id: string): Promise<PendingImport | null> {
  const [row] = await transaction.bookmarkImport.updateManyAndReturn({
    where: { id, status: { in: ['queued', 'running'] } },
    data: { status: 'running' },
    select: { id: true, userId: true, url: true, createdAt: true },
  })
  return row ?? null
}

/**
 * Stores the links of a file exactly once, however often it is started. Each batch and the number of processed links are
 * written in one statement, so the next worker after a killed one knows where it stopped: the same bytes have the same links
 * in the same order. If a file is fetched again and has changed, it is counted from its beginning, and what the first
 * attempt stored from it counts as skipped.
 *
 * @param sha256 identifies the file.
 * @throws ImportProblem when a batch would exceed the quota: that batch is not stored, the batches before it stay. A problem
 *   of `links` is thrown after the links before it are stored.
 */
export async function storeLinks(
  write: Write,
  { id, userId, createdAt }: PendingImport,
  links: AsyncIterable<Link>,
  sha256: string,
  quota: Quota,
): Promise<void> {
  const { total } = await write(async (transaction) => {
    await transaction.bookmarkImport.updateMany({
      where: { id, OR: [{ sha256: null }, { sha256: { not: sha256 } }] },
      data: { sha256, total: 0, imported: 0, skipped: 0 },
    })
    return transaction.bookmarkImport.findUniqueOrThrow({ where: { id }, select: { total: true } })
  })

  let position = 0
  let batch: Link[] = []
  let length = 0
  const store = async () => {
    const from = position - batch.length
    await write((transaction) => storeBatch(transaction, quota, { id, userId, createdAt }, batch, from))
    batch = []
    length = 0
  }
  let problem: ImportProblem | undefined
  for await (const link of untilProblem(links, (found) => (problem = found))) {
    position++
    if (position <= total) continue
    batch.push(link)
    length += link ? link.url.length + link.title.length + link.notes.length : 0
    if (batch.length === maxBatchLinks || length >= maxBatchLength) await store()
  }
  if (batch.length > 0) await store()
  if (problem) throw problem
}

/** Ends at a problem with the file, so that the links before it can be stored. */
async function* untilProblem(
  links: AsyncIterable<Link>,
  onProblem: (problem: ImportProblem) => void,
): AsyncGenerator<Link> {
  try {
    yield* links
  } catch (error) {
    if (!(error instanceof ImportProblem)) throw error
    onProblem(error)
  }
}

async function storeBatch(
  transaction: Transaction,
  quota: Quota,
  { id, userId, createdAt }: Pick<PendingImport, 'id' | 'userId' | 'createdAt'>,
  links: readonly Link[],
  position: number,
): Promise<void> {
  const bookmarks = links.filter((link) => link !== null)
  // Sorted, so that bookmarks of the same second keep the order of the file.
  const ids = bookmarks.map(() => randomUUIDv7()).sort()
  const rows = bookmarks.map((bookmark, index) => ({ ...bookmark, id: ids[index] }))
  const json = JSON.stringify(rows)
  await withinQuota(transaction, userId, quota, async () => {
    const [moved] = await transaction.$queryRawUnsafe<{ inserted: number }[]>(
      insertBatch,
      id,
      userId,
      position,
      links.length,
      json,
    )
    if (!moved) throw new Error('The import has ended, or is further than this worker knows')
    if (moved.inserted === rows.length) return
    await transaction.$executeRawUnsafe(keepLabels, userId, json, firstIdOf(createdAt))
  }).catch((error: unknown) => {
    throw error instanceof BookmarkQuotaExceeded ? new ImportProblem(quotaExceeded) : error
  })
}

/** A UUIDv7 begins with its time in milliseconds: https://www.rfc-editor.org/rfc/rfc9562#section-5.7 */
function firstIdOf(date: Date): string {
  const hex = date.getTime().toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}`
}

const quotaExceeded =
  'With the rest of this file you would have more bookmarks, or more text in them, than one person may have. What was ' +
  'imported before it stays.'

// One statement, so that the links and their number are stored together or not at all. The links are one JSON text, because
// Prisma's createMany takes seven times as long. They are ordered by URL, because two imports that insert the same URLs in
// different orders would wait for each other.
const insertBatch = `
  WITH ours AS (
    SELECT id FROM bookmark_imports WHERE id = $1 AND status = 'running' AND total = $3::int FOR UPDATE
  ), new AS (
    INSERT INTO bookmarks (id, user_id, url, title, notes, tags, folder, created_at)
    SELECT id, $2, url, title, notes, tags, folder, "createdAt"
    FROM jsonb_to_recordset($5::jsonb) AS bookmark (
      id text, url text, title text, notes text, tags text[], folder text[], "createdAt" timestamptz
    )
    WHERE EXISTS (SELECT FROM ours)
    ORDER BY url, id
    ON CONFLICT DO NOTHING
    RETURNING id
  ), counted AS (
    SELECT count(*)::int AS imported FROM new
  )
  UPDATE bookmark_imports SET total = total + $4::int, imported = bookmark_imports.imported + counted.imported,
    skipped = skipped + $4::int - counted.imported, updated_at = now()
  FROM ours, counted WHERE bookmark_imports.id = ours.id
  RETURNING counted.imported AS inserted`

// In a file whose folders are labels, as in Google's, a link appears once under each label. It becomes one bookmark, in the
// first of these folders, and the other labels become tags. Only bookmarks that were made after the import began are
// changed; older ones stay as they are. The rows are locked in one order, as above.
const keepLabels = `
  WITH kept AS (
    SELECT id, url, tags, folder FROM bookmarks
    WHERE user_id = $1 AND id COLLATE "C" >= $3
      AND md5(url) IN (SELECT md5(url) FROM jsonb_to_recordset($2::jsonb) AS link (url text))
    ORDER BY url FOR UPDATE
  ), labelled AS (
    SELECT kept.id, tag, min(link.place * 1000 + named.place) AS place
    FROM kept
    JOIN ROWS FROM (jsonb_to_recordset($2::jsonb) AS (url text, tags text[], folder text[]))
      WITH ORDINALITY AS link (url, tags, folder, place) USING (url)
    CROSS JOIN unnest(
      kept.tags || link.tags ||
      CASE WHEN link.folder <> kept.folder THEN left(regexp_replace(link.folder[cardinality(link.folder)], ',\\s*', ' ', 'g'), ${limits.tag}) END
    ) WITH ORDINALITY AS named (tag, place)
    WHERE tag <> ''
    GROUP BY kept.id, tag
  ), merged AS (
    SELECT id, (array_agg(tag ORDER BY place))[:${limits.tags}] AS tags FROM labelled GROUP BY id
  )
  UPDATE bookmarks SET tags = merged.tags FROM merged
  WHERE bookmarks.id = merged.id AND bookmarks.tags <> merged.tags`

/** Ends an import whose links are all stored. */
export async function finishImport(write: Write, id: string): Promise<void> {
  const ended = await write((transaction) => endImport(transaction, id, null))
  // Until Postgres has analyzed so many new rows, it plans for few rows, and an export takes ten times as long.
  if (ended && ended.imported > 10_000) {
    await write((transaction) => transaction.$executeRawUnsafe('ANALYZE bookmarks')).catch(() => {})
  }
}

/** Ends an import, with the reason if it failed, and deletes the uploaded file. @returns null when it had already ended. */
export async function endImport(
  transaction: Transaction,
  id: string,
  error: string | null,
): Promise<{ imported: number } | null> {
  const [ended] = await transaction.bookmarkImport.updateManyAndReturn({
    where: { id, status: { in: ['queued', 'running'] } },
    data: { status: error === null ? 'done' : 'failed', error },
    select: { imported: true },
  })
  await transaction.importChunk.deleteMany({ where: { importId: id } })
  return ended ?? null
}
