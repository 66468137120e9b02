import { randomUUIDv7 } from 'node:crypto'
import type { Transaction } from '../database.ts'
import { limits, type FiledBookmark } from './bookmark.ts'
import { ImportProblem } from './import-problem.ts'
import { BookmarkQuotaExceeded, withinQuota, type Quota } from './quota.ts'

/** Enough to make a statement worth its while, few enough to show progress and to lose little when the worker dies. */
const maxBatchLinks = 500

/** Links may be long, and a batch is held in memory several times over on its way to Postgres. */
const maxBatchLength = 512 * 1024

/** What there is to do, for a worker. */
export interface PendingImport {
  id: string
  userId: string
  /** Where to fetch the file from; null when it was uploaded. */
  url: string | null
  createdAt: Date
}

/** A link of the file: a bookmark, or null when it is no web address. */
type Link = FiledBookmark | null

/** Each call is a transaction of its own, which is refused when another worker goes on with the import. */
export type Write = <Result>(work: (transaction: Transaction) => Promise<Result>) => Promise<Result>

/** Marks an import as running. @returns null when nothing is left to do, as when the job is done a second time. */
export async function beginImport(transaction: Transaction, id: string): Promise<PendingImport | null> {
  const [row] = await transaction.bookmarkImport.updateManyAndReturn({
    where: { id, status: { in: ['queued', 'running'] } },
    data: { status: 'running' },
    select: { id: true, userId: true, url: true, createdAt: true },
  })
  return row ?? null
}

/**
 * Stores the links of a file, exactly once however often this is begun. Each batch and the number of links dealt with are
 * written in one statement, so whoever comes after a worker that was killed knows where it stopped: the same bytes have the
 * same links in the same order. A file that is fetched again and turns out to be another one is counted from its beginning;
 * what the first try stored from it then counts as already there.
 *
 * @param sha256 identifies the file.
 * @throws ImportProblem when a batch would be more than the quota: it is not stored, those before it stay.
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

/** Ends where something is wrong with the file: the links before that are links all the same. */
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
  // Sorted, so that bookmarks of the same second are listed as they stood in the file.
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

/** A UUIDv7 begins with its milliseconds: https://www.rfc-editor.org/rfc/rfc9562#section-5.7 */
function firstIdOf(date: Date): string {
  const hex = date.getTime().toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}`
}

const quotaExceeded =
  'With the rest of this file you would have more bookmarks, or more text in them, than one person may have. What was ' +
  'imported before it stays.'

// One statement, so that the links and their count are stored together or not at all. As one text, since the same through
// Prisma's createMany takes seven times as long. Ordered by address, since two imports that met the same addresses in
// different order would wait for each other.
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

// A file that stands for labels, as Google's does, has a link once under each. It becomes one bookmark, where it stood first,
// and the other labels become tags. Only what came after the import began: bookmarks that were there before stay as they are.
// Locked in one order, as above.
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
  // Until Postgres has looked at so many new rows, it plans as if they were few, and an export takes ten times as long.
  if (ended && ended.imported > 10_000) {
    await write((transaction) => transaction.$executeRawUnsafe('ANALYZE bookmarks')).catch(() => {})
  }
}

/** Ends an import, with the reason when it failed, and lets go of the uploaded file. @returns null when it had ended before. */
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
