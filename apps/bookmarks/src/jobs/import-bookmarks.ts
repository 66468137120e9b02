import type { Database } from '@repo/database'
import { defineJob, handle, type HandledJob } from '@repo/queue'
import { Type } from 'typebox'
import { fetchFile } from '../domain/fetch-file.ts'
import { ImportProblem } from '../domain/import-problem.ts'
import { readUpload } from '../domain/imports.ts'
import type { AddressCheck } from '../domain/public-address.ts'
import { readBookmarkFile } from '../domain/read-bookmark-file.ts'
import { beginImport, endImport, ImportTakenOver, storeLinks } from '../domain/run-import.ts'
import { openTemporaryFile } from '../domain/temporary-file.ts'
import { sparingMemory } from '../sparing-memory.ts'

export const importBookmarks = defineJob({
  name: 'bookmarks.import',
  payload: Type.Object({ importId: Type.String() }),
})

interface Options {
  database: Database
  maxBytes: number
  isAllowedAddress: AddressCheck
}

/**
 * Brings the file here, from where the upload left it or from its URL, into a temporary file that lives for this one job;
 * reads it from there and stores its links. What is wrong with the file ends the import; what is wrong with us is tried again.
 */
export function handleImportBookmarks({ database, ...limits }: Options): HandledJob {
  return handle(importBookmarks, async ({ importId }, { signal, attempt, log }) => {
    const pending = await beginImport(database, importId)
    if (!pending) return
    try {
      await using file = await openTemporaryFile()
      const source =
        pending.url === null ? readUpload(database, importId) : fetchFile(pending.url, limits, signal)
      const sha256 = await file.fill(sparingMemory(source), signal)
      const links = readBookmarkFile(sparingMemory(file.read()), pending.createdAt)
      await storeLinks(database, pending, links, sha256, signal)
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
    }
  })
}

const givenUp = 'The import could not be finished, for a reason on our side. Please start it again.'
