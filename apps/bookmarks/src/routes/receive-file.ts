import { createError } from '@fastify/error'
import type { FastifyReply, FastifyRequest } from 'fastify'

export const ImportFileMissing = createError(
  'IMPORT_FILE_MISSING',
  'The form has no file in a field called "file".',
  400,
)

export const ImportFormMalformed = createError(
  'IMPORT_FORM_MALFORMED',
  'The form cannot be read, or ended before its file did.',
  400,
)

/** A file that is being received. */
export interface Upload {
  /** The maximum length of the file. Its actual length is known at its end. */
  bytes: number
  file: AsyncIterable<Buffer>
}

/** The most that a form adds around its file. */
const formBytes = 64 * 1024

/** Receives files of at most `maxBytes`. */
export function createFileReceiver(maxBytes: number) {
  const ImportTooLarge = createError('IMPORT_TOO_LARGE', `The file is larger than ${maxBytes} bytes.`, 413)

  /**
   * Passes the file of a form to `take` while it arrives, no faster than `take` reads it, and never whole in memory.
   * @throws IMPORT_TOO_LARGE before a byte is read if the content-length is too large, else after `maxBytes`.
   * @throws IMPORT_FILE_MISSING, IMPORT_FORM_MALFORMED, and what `take` throws
   */
  async function receiveFile<Result>(
    request: FastifyRequest,
    reply: FastifyReply,
    take: (upload: Upload) => Promise<Result>,
  ): Promise<Result> {
    try {
      const length = Number(request.headers['content-length'] ?? maxBytes)
      if (length > maxBytes + formBytes) throw new ImportTooLarge()
      const part = await request.file({ limits: { files: 1, fileSize: Infinity } }).catch(() => {
        throw new ImportFormMalformed()
      })
      if (part?.fieldname !== 'file') throw new ImportFileMissing()
      return await take({ bytes: Math.min(length, maxBytes), file: read(part.file) })
    } finally {
      leaveRest(request, reply)
    }
  }

  // Counted here, because busboy reads a file that is too large to its end before it reports that.
  async function* read(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
    let bytes = 0
    try {
      for await (const piece of file) {
        bytes += piece.length
        if (bytes > maxBytes) throw new ImportTooLarge()
        yield piece
      }
    } catch (error) {
      throw error instanceof ImportTooLarge ? error : new ImportFormMalformed()
    }
  }

  return { receiveFile, ImportTooLarge }
}

/** When a body is not read to its end, the rest must be drained. Otherwise the client never reads the answer. */
function leaveRest({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.complete) return
  reply.header('connection', 'close')
  raw.unpipe()
  raw.resume()
}
