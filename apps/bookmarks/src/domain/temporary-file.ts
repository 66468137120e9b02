import { createHash, randomUUID } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ImportProblem } from './import-problem.ts'

const pieceBytes = 64 * 1024

export interface TemporaryFile extends AsyncDisposable {
  /** Appends `source` to the file. @returns the sha256 of `source`, in hex. */
  fill(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<string>
  /** Reads from the beginning, piece by piece. */
  read(): AsyncGenerator<Uint8Array>
}

/**
 * Opens a file that exists only as long as it is open. When this returns, the file has no name, so the operating system
 * removes it when it is closed or the process ends: a worker killed with -9 leaves nothing behind.
 */
export async function openTemporaryFile(): Promise<TemporaryFile> {
  const path = join(tmpdir(), `bookmarks-import-${randomUUID()}`)
  const file = await onDisk(open(path, 'wx+', 0o600))
  try {
    await unlink(path)
  } catch (error) {
    await file.close()
    throw error
  }
  // Not the streams of the handle: if one of them is left open, close() waits for ever.
  return {
    async fill(source, signal) {
      const hash = createHash('sha256')
      for await (const piece of source) {
        signal.throwIfAborted()
        hash.update(piece)
        await onDisk(file.appendFile(piece))
      }
      return hash.digest('hex')
    },
    async *read() {
      for (let position = 0; ;) {
        const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(pieceBytes), position })
        if (bytesRead === 0) return
        position += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

/** A full or read-only disk stays so for a while. Retries would look like a hang, so this ends the import. */
async function onDisk<Result>(work: Promise<Result>): Promise<Result> {
  return work.catch((cause: unknown) => {
    throw new ImportProblem('We have no room for this file right now. Please start the import again later.', {
      cause,
    })
  })
}
