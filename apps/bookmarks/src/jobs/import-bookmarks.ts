import { defineJob, handle, type HandledJob, type JobContext } from '@repo/queue'
import { Type } from 'typebox'
import type { Database, Transaction } from '../database.ts'
import { fetchFile } from '../domain/fetch-file.ts'
import { ImportProblem } from '../domain/import-problem.ts'
import { readUpload } from '../domain/imports.ts'
import type { AddressCheck } from '../domain/public-address.ts'
import type { Quota } from '../domain/quota.ts'
import { readBookmarkFile, separatesByComma } from '../domain/read-bookmark-file.ts'
import { beginImport, endImport, finishImport, storeLinks, type Write } from '../domain/run-import.ts'
import { openTemporaryFile } from '../domain/temporary-file.ts'

export const importBookmarks = defineJob({
  name: 'bookmarks.import',
  payload: Type.Object({ importId: Type.String() }),
})

/** 250,000 links take about a minute. This limit stops files of millions of links that all exist already. */
const importWithinMs = 15 * 60_000

interface Options {
  /** Only for reads. The job writes with `transaction`. */
  database: Database
  quota: Quota
  maxBytes: number
  isAllowedAddress: AddressCheck
  withinMs?: number
}

/**
 * Copies the file, from its upload or its URL, into a temporary file that exists only for this job. Reads it from there and
 * stores its links. An ImportProblem (the file, a full disk, more than `withinMs`) ends the import; after any other error
 * the queue tries the job again.
 */
export function handleImportBookmarks({
  database,
  quota,
  withinMs = importWithinMs,
  ...limits
}: Options): HandledJob<Transaction> {
  return handle(importBookmarks, run, { giveUp: ({ importId }, tx) => endImport(tx, importId, givenUp) })

  async function run(
    { importId }: { importId: string },
    { signal, log, transaction }: JobContext<Transaction>,
  ): Promise<void> {
    const pending = await transaction((tx) => beginImport(tx, importId))
    if (!pending) return
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new ImportProblem(tookTooLong)), withinMs)
    const until = AbortSignal.any([signal, late.signal])
    try {
      await using file = await openTemporaryFile()
      const source =
        pending.url === null ? readUpload(database, importId) : fetchFile(pending.url, limits, until)
      const sha256 = await file.fill(source, until)
      const tagsByComma = await separatesByComma(file.read())
      const links = readBookmarkFile(file.read(), pending.createdAt, { tagsByComma })
      const write: Write = (work) => {
        until.throwIfAborted()
        return transaction(work)
      }
      await storeLinks(write, pending, links, sha256, quota)
      await finishImport(transaction, importId)
    } catch (error) {
      if (!(error instanceof ImportProblem)) throw error
      log[error.cause ? 'error' : 'info']({ reason: error.message, err: error.cause }, 'import failed')
      await transaction((tx) => endImport(tx, importId, error.message))
    } finally {
      clearTimeout(timer)
    }
  }
}

const tookTooLong = 'The import took longer than it may. What was imported until then stays.'

const givenUp = 'The import could not be finished, for a reason on our side. Please start it again.'
