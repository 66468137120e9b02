import { createHash, randomUUID } from 'node:crypto'
import { open, unlink, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/**
 * A file that lives no longer than its handle. It has no name any more when this returns, so the operating system itself takes
 * it away once the handle is closed or the process is gone: a worker killed with -9 leaves nothing to sweep up.
 */
export async function openTemporaryFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `bookmarks-import-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
  } catch (error) {
    await file.close()
    throw error
  }
  return file
}

/** Writes `source` to an empty file. @returns the sha256 of what was written. */
export async function fillFile(
  file: FileHandle,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(
    source,
    async function* (chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        yield chunk
      }
    },
    file.createWriteStream({ start: 0, autoClose: false }),
    { signal },
  )
  return hash.digest('hex')
}
