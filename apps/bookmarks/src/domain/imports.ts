import { createError } from '@fastify/error'
import type { Database, Transaction } from '@repo/database'
import { webUrl } from './bookmark.ts'

/** An import as the person who started it sees it. */
export interface ImportProgress {
  id: string
  status: 'queued' | 'running' | 'done' | 'failed'
  /** Links in the file so far. Always `imported` + `skipped`. */
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
export const UploadExpired = createError('UPLOAD_EXPIRED', 'The upload took more than an hour.', 408)

/** Postgres and this process hold one piece at a time, whatever the size of the file. */
const chunkBytes = 256 * 1024
const uploadTimeMs = 60 * 60_000

/** Longer than all tries of a job take, with the pauses between them. */
const lostAfterMs = 24 * 60 * 60_000

/** Hands the import to a worker, inside the transaction that makes it one. */
export type Enqueue = (transaction: Transaction, importId: string) => Promise<unknown>

/** @throws IMPORT_NOT_FOUND */
export async function readImport(database: Database, userId: string, id: string): Promise<ImportProgress> {
  const row = await database.bookmarkImport.findUnique({
    where: { id, userId },
    select: { id: true, status: true, total: true, imported: true, skipped: true, error: true },
  })
  if (!row || row.status === 'uploading') throw new ImportNotFound()
  return { ...row, status: row.status }
}

/** @throws IMPORT_URL_INVALID */
export async function importFromUrl(
  database: Database,
  userId: string,
  text: string,
  enqueue: Enqueue,
): Promise<{ id: string }> {
  const url = webUrl(text)
  if (url === null || /^https?:\/\/[^/?#]*@/.test(url)) throw new ImportUrlInvalid()
  return database.$transaction(async (transaction) => {
    const { id } = await transaction.bookmarkImport.create({ data: { userId, url, status: 'queued' } })
    await enqueue(transaction, id)
    return { id }
  })
}

/**
 * Takes a file in. Only the end of the file makes it an import: until then its pieces belong to nobody, and go away when the
 * sender or this process does ({@link endLostImports}).
 */
export async function importFromUpload(
  database: Database,
  userId: string,
  file: AsyncIterable<Buffer>,
  enqueue: Enqueue,
): Promise<{ id: string }> {
  const { id } = await database.bookmarkImport.create({ data: { userId, status: 'uploading' } })
  try {
    let position = 0
    for await (const bytes of inChunks(file)) {
      await database.query('INSERT INTO import_chunks VALUES ($1, $2, $3)', [id, position++, bytes])
    }
    await database.$transaction(async (transaction) => {
      const { count } = await transaction.bookmarkImport.updateMany({
        where: { id, status: 'uploading' },
        data: { status: 'queued' },
      })
      if (count === 0) throw new UploadExpired()
      await enqueue(transaction, id)
    })
  } catch (error) {
    // Should this fail as well, the schedule does it later.
    await database.bookmarkImport.deleteMany({ where: { id, status: 'uploading' } }).catch(() => {})
    throw error
  }
  return { id }
}

/**
 * Clears up what nobody will come back to: uploads whose process died, and imports that no job works on any more.
 * @returns how many there were of each.
 */
export async function endLostImports(database: Database): Promise<{ uploads: number; imports: number }> {
  const uploads = await database.bookmarkImport.deleteMany({
    where: { status: 'uploading', updatedAt: { lt: new Date(Date.now() - uploadTimeMs) } },
  })
  const imports = await database.bookmarkImport.updateMany({
    where: { status: { in: ['queued', 'running'] }, updatedAt: { lt: new Date(Date.now() - lostAfterMs) } },
    data: {
      status: 'failed',
      error: 'The import was lost, for a reason on our side. Please start it again.',
    },
  })
  await database.importChunk.deleteMany({ where: { import: { status: { in: ['done', 'failed'] } } } })
  return { uploads: uploads.count, imports: imports.count }
}

/** The bytes of an upload, one chunk after the other. */
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
