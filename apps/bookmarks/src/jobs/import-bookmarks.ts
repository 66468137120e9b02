import type { Database } from '@repo/database'
import { defineJob, handle, type HandledJob } from '@repo/queue'
import { Type } from 'typebox'
import { fetchFile } from '../domain/fetch-file.ts'
import { ImportProblem } from '../domain/import-problem.ts'
import { readUpload } from '../domain/imports.ts'
import type { AddressCheck } from '../domain/public-address.ts'
import type { Quota } from '../domain/quota.ts'
import { readBookmarkFile } from '../domain/read-bookmark-file.ts'
import { beginImport, endImport, ImportTakenOver, storeLinks } from '../domain/run-import.ts'
import { openTemporaryFile } from '../domain/temporary-file.ts'
import { sparingMemory } from '../sparing-memory.ts'

export const importBookmarks = defineJob({
  name: 'bookmarks.import',
  payload: Type.Object({ importId: Type.String() }),
})

/** 250,000 links take about a minute; whoever has a file of millions, each there already, ends here. */
const importWithinMs = 15 * 60_000

interface Options {
  database: Database
  quota: Quota
  maxBytes: number
  isAllowedAddress: AddressCheck
  withinMs?: number
}

/**
 * Brings the file here, from where the upload left it or from its URL, into a temporary file that lives for this one job;
 * reads it from there and stores its links. What is wrong with the file ends the import; what is wrong with us is tried again.
 */
export function handleImportBookmarks({
  database,
  quota,
  withinMs = importWithinMs,
  ...limits
}: Options): HandledJob {
  return handle(importBookmarks, async ({ importId }, { signal, attempt, log }) => {
    const pending = await beginImport(database, importId)
    if (!pending) return
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new ImportProblem(tookTooLong)), withinMs)
    const until = AbortSignal.any([signal, late.signal])
    try {
      await using file = await openTemporaryFile()
      const source =
        pending.url === null ? readUpload(database, importId) : fetchFile(pending.url, limits, until)
      const sha256 = await file.fill(sparingMemory(source), until)
      const links = readBookmarkFile(sparingMemory(file.read()), pending.createdAt)
      await storeLinks(database, pending, links, sha256, quota, until)
      await endImport(database, importId, null)
    } catch (error) {
      if (error instanceof ImportProblem) {
        log[error.cause ? 'error' : 'info']({ reason: error.message, err: error.cause }, 'import failed')
        return endImport(database, importId, error.message)
      }
      const isLast = attempt >= importBookmarks.attempts
      if (isLast && !signal.aborted && !(error instanceof ImportTakenOver)) {
        await endImport(database, importId, givenUp)
      }
      throw error
    } finally {
      clearTimeout(timer)
    }
  })
}

const tookTooLong = 'The import took longer than it may. What was imported until then stays.'

const givenUp = 'The import could not be finished, for a reason on our side. Please start it again.'
