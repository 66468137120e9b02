import { setTimeout as sleep } from 'node:timers/promises'
import { createError } from '@fastify/error'
import type { Database, ImportStatus, Transaction } from '../database.ts'
import { webUrl } from './bookmark.ts'

/** An import as its user sees it. */
export interface ImportProgress {
  id: string
  status: 'queued' | 'running' | 'done' | 'failed'
  /** Links in the file so far: `imported` + `skipped`. */
  total: number
  imported: number
  skipped: number
  error: string | null
}

export const ImportNotFound = createError('IMPORT_NOT_FOUND', 'You have no such import.', 404)
export const ImportUrlInvalid = createError(
  'IMPORT_URL_INVALID',
  'A file to import needs an http or https address, without a user name or password in it.',
  400,
)
export const UploadExpired = createError('UPLOAD_EXPIRED', 'No piece of the file came for an hour.', 408)
export const ImportLimitReached = createError(
  'IMPORT_LIMIT_REACHED',
  'Too many imports of yours, or too large ones, are not done yet. Start this one again when they are.',
  429,
)

/** Postgres and this process hold one piece at a time, whatever the size of the file. */
const chunkBytes = 256 * 1024
const uploadTimeMs = 60 * 60_000

/** After so long without data an upload does not count for the limits any more: its process may have died. */
const uploadPauseMs = 60_000
const retryAfterS = 30

/** Longer than all attempts of a job take, with the pauses between them. */
const lostAfterMs = 24 * 60 * 60_000

/** Enqueues the job of an import, in the transaction that sets its status to `queued`. */
export type Enqueue = (
  transaction: Transaction,
  ids: { importId: string; userId: string },
) => Promise<unknown>

/** Limits of the unfinished imports of one user. */
export interface ImportLimits {
  maxInFlight: number
  /** Of all unfinished uploads together, and so of each. */
  maxBytes: number
}

/** @throws IMPORT_NOT_FOUND */
export async function readImport(database: Database, userId: string, id: string): Promise<ImportProgress> {
  const row = await database.bookmarkImport.findUnique({
    where: { id, userId },
    select: { id: true, status: true, total: true, imported: true, skipped: true, error: true },
  })
  if (!row || row.status === 'uploading') throw new ImportNotFound()
  return { ...row, status: row.status }
}

/** The shortest time between two updates. */
const watchEveryMs = 500

/**
 * Yields an import each time that its progress changes, and at last when it has ended. The progress is in its row, so any
 * process can watch it.
 *
 * @param seen the {@link markOf} of the last progress that the client saw
 */
export async function* watchImport(
  database: Database,
  userId: string,
  id: string,
  { seen, signal }: { seen: string | undefined; signal: AbortSignal },
): AsyncGenerator<ImportProgress> {
  for (let last = seen; ; await sleep(watchEveryMs, undefined, { signal })) {
    const progress = await readImport(database, userId, id)
    if (markOf(progress) !== last) yield progress
    if (hasEnded(progress)) return
    last = markOf(progress)
  }
}

/** The progress of an import as a short text, which is the id of its event. */
export function markOf({ status, total }: ImportProgress): string {
  return `${status}-${total}`
}

export function hasEnded({ status }: ImportProgress): boolean {
  return status === 'done' || status === 'failed'
}

/** @throws IMPORT_URL_INVALID, IMPORT_LIMIT_REACHED */
export async function importFromUrl(
  database: Database,
  limits: ImportLimits,
  userId: string,
  text: string,
  enqueue: Enqueue,
): Promise<{ id: string }> {
  const url = webUrl(text)
  if (url === null || /^https?:\/\/[^/?#]*@/.test(url)) throw new ImportUrlInvalid()
  return database.$transaction(async (transaction) => {
    const id = await admit(transaction, limits, { userId, url, status: 'queued' })
    await enqueue(transaction, { importId: id, userId })
    return { id }
  })
}

/**
 * Creates the row of an import, unless the user has too many unfinished ones. The calls for one user wait for each other, in
 * all processes, so that each is counted before the next.
 *
 * @throws IMPORT_LIMIT_REACHED
 */
async function admit(
  transaction: Transaction,
  { maxInFlight, maxBytes }: ImportLimits,
  data: { userId: string; status: ImportStatus; url?: string; bytes?: number },
): Promise<string> {
  const { userId, bytes = 0 } = data
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('bookmarks.imports'), hashtext(${userId}))`
  const { _count: count, _sum: sum } = await transaction.bookmarkImport.aggregate({
    where: {
      userId,
      OR: [
        { status: { in: ['queued', 'running'] } },
        { status: 'uploading', updatedAt: { gt: new Date(Date.now() - uploadPauseMs) } },
      ],
    },
    _count: true,
    _sum: { bytes: true },
  })
  if (count >= maxInFlight || Number(sum.bytes ?? 0) + bytes > maxBytes) {
    throw Object.assign(new ImportLimitReached(), { headers: { 'retry-after': `${retryAfterS}` } })
  }
  return (await transaction.bookmarkImport.create({ data })).id
}

/**
 * Stores an uploaded file. It becomes an import when it is complete. Until then its pieces belong to no import, and are
 * removed when the client or this process is gone ({@link endLostImports}).
 *
 * @param bytes the maximum length of the file; it is reserved from the user's limit.
 * @throws IMPORT_LIMIT_REACHED before any of the file is read; UPLOAD_EXPIRED
 */
export async function importFromUpload(
  database: Database,
  limits: ImportLimits,
  userId: string,
  { bytes, file }: { bytes: number; file: AsyncIterable<Buffer> },
  enqueue: Enqueue,
): Promise<{ id: string }> {
  const id = await database.$transaction((transaction) =>
    admit(transaction, limits, { userId, status: 'uploading', bytes }),
  )
  try {
    let position = 0
    for await (const piece of inChunks(file)) {
      await database.query(insertChunk, [id, position++, piece])
    }
    await database.$transaction(async (transaction) => {
      const { count } = await transaction.bookmarkImport.updateMany({
        where: { id, status: 'uploading' },
        data: { status: 'queued' },
      })
      if (count === 0) throw new UploadExpired()
      await enqueue(transaction, { importId: id, userId })
    })
  } catch (error) {
    // If this fails too, the scheduled job does it later.
    await database.bookmarkImport.deleteMany({ where: { id, status: 'uploading' } }).catch(() => {})
    throw error
  }
  return { id }
}

const insertChunk = `
  WITH chunk AS (INSERT INTO import_chunks VALUES ($1, $2, $3))
  UPDATE bookmark_imports SET updated_at = now() WHERE id = $1`

/**
 * Removes uploads whose process died, fails imports without a job, and deletes the files of imports that have ended.
 * @returns the number of uploads and of imports.
 */
export async function endLostImports(
  transaction: Transaction,
): Promise<{ uploads: number; imports: number }> {
  const uploads = await transaction.bookmarkImport.deleteMany({
    where: { status: 'uploading', updatedAt: { lt: new Date(Date.now() - uploadTimeMs) } },
  })
  const imports = await transaction.bookmarkImport.updateMany({
    where: { status: { in: ['queued', 'running'] }, updatedAt: { lt: new Date(Date.now() - lostAfterMs) } },
    data: {
      status: 'failed',
      error: 'The import was lost, for a reason on our side. Please start it again.',
    },
  })
  await transaction.importChunk.deleteMany({ where: { import: { status: { in: ['done', 'failed'] } } } })
  return { uploads: uploads.count, imports: imports.count }
}

/** The bytes of an upload, chunk by chunk. */
export async function* readUpload(database: Database, importId: string): AsyncGenerator<Uint8Array> {
  for (let position = 0; ; position++) {
    const [chunk] = await database.query<{ bytes: Buffer }>(
      'SELECT bytes FROM import_chunks WHERE import_id = $1 AND position = $2',
      [importId, position],
    )
    if (!chunk) return
    yield chunk.bytes
  }
}

async function* inChunks(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer<ArrayBuffer>> {
  let chunk = Buffer.alloc(chunkBytes)
  let filled = 0
  for await (let bytes of file) {
    while (bytes.length > 0) {
      const taken = bytes.copy(chunk, filled)
      filled += taken
      bytes = bytes.subarray(taken)
      if (filled === chunkBytes) {
        yield chunk
        chunk = Buffer.alloc(chunkBytes)
        filled = 0
      }
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled)
}
