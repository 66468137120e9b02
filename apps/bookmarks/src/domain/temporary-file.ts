import { createHash, randomUUID } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ImportProblem } from './import-problem.ts'

const pieceBytes = 64 * 1024

export interface TemporaryFile extends AsyncDisposable {
  /** Writes `source` behind what is there. @returns the sha256 of it. */
  fill(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<string>
  /** From the beginning, a piece at a time. */
  read(): AsyncGenerator<Uint8Array>
}

/**
 * A file that lives no longer than its holder. It has no name any more when this returns, so the operating system itself takes
 * it away once it is closed or the process is gone: a worker killed with -9 leaves nothing to sweep up.
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
  // Not the handle's own streams: with one of them left open, closing the handle would wait for ever.
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

/** A disk that is full, or may not be written to, stays so for a while: to try again and again would look like a hang. */
async function onDisk<Result>(work: Promise<Result>): Promise<Result> {
  return work.catch((cause: unknown) => {
    throw new ImportProblem('We have no room for this file right now. Please start the import again later.', {
      cause,
    })
  })
}
