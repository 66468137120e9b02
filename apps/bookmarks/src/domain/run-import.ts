import type { Database } from '@repo/database'
import type { FiledBookmark } from './bookmark.ts'

/** Enough to make a transaction worth its while, few enough to see progress and to lose little when the worker dies. */
const batchSize = 500

/** What there is to do, for a worker. */
export interface PendingImport {
  id: string
  userId: string
  /** Where to fetch the file from; null when it was uploaded. */
  url: string | null
  createdAt: Date
}

/** Another worker goes on with this import, so this one must not. */
export class ImportTakenOver extends Error {}

/** Marks an import as running. @returns null when nothing is left to do, as when the job is done a second time. */
export async function beginImport(database: Database, id: string): Promise<PendingImport | null> {
  const [row] = await database.bookmarkImport.updateManyAndReturn({
    where: { id, status: { in: ['queued', 'running'] } },
    data: { status: 'running' },
    select: { id: true, userId: true, url: true, createdAt: true },
  })
  return row ?? null
}

/**
 * Stores the links of a file, exactly once however often this is begun. Each batch and the number of links dealt with are
 * written in one transaction, so whoever comes after a worker that was killed knows where it stopped: the same bytes have the
 * same links in the same order. A file that is fetched again and turns out to be another one is counted from its beginning;
 * what the first try stored from it then counts as already there.
 *
 * @param links holds an item per link, null for one that is no web address.
 * @param sha256 identifies the file.
 * @throws ImportTakenOver when another worker counts as well.
 */
export async function storeLinks(
  database: Database,
  { id, userId }: PendingImport,
  links: AsyncIterable<FiledBookmark | null>,
  sha256: string,
  signal: AbortSignal,
): Promise<void> {
  await database.bookmarkImport.updateMany({
    where: { id, OR: [{ sha256: null }, { sha256: { not: sha256 } }] },
    data: { sha256, total: 0, imported: 0, skipped: 0 },
  })
  const { total } = await database.bookmarkImport.findUniqueOrThrow({
    where: { id },
    select: { total: true },
  })

  let position = 0
  let batch: (FiledBookmark | null)[] = []
  for await (const link of links) {
    position++
    if (position <= total) continue
    batch.push(link)
    if (batch.length === batchSize) {
      signal.throwIfAborted()
      await storeBatch(database, { id, userId }, batch, position - batch.length)
      batch = []
    }
  }
  if (batch.length > 0) await storeBatch(database, { id, userId }, batch, position - batch.length)
}

async function storeBatch(
  database: Database,
  { id, userId }: Pick<PendingImport, 'id' | 'userId'>,
  links: readonly (FiledBookmark | null)[],
  position: number,
): Promise<void> {
  // Two imports of one person that meet the same addresses in another order would wait for each other for ever.
  const data = links
    .filter((link) => link !== null)
    .map((link) => ({ ...link, userId }))
    .sort((a, b) => (a.url < b.url ? -1 : a.url > b.url ? 1 : 0))

  await database.$transaction(async (transaction) => {
    const { count } = await transaction.bookmark.createMany({ data, skipDuplicates: true })
    const moved = await transaction.bookmarkImport.updateMany({
      where: { id, status: 'running', total: position },
      data: {
        total: { increment: links.length },
        imported: { increment: count },
        skipped: { increment: links.length - count },
      },
    })
    if (moved.count === 0) throw new ImportTakenOver()
  })
}

/** Ends an import, with the reason when it failed, and lets go of the uploaded file. */
export async function endImport(database: Database, id: string, error: string | null): Promise<void> {
  await database.$transaction([
    database.bookmarkImport.updateMany({
      where: { id, status: { in: ['queued', 'running'] } },
      data: { status: error === null ? 'done' : 'failed', error },
    }),
    database.importChunk.deleteMany({ where: { importId: id } }),
  ])
}
