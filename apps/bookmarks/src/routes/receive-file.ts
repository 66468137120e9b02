import { createError } from '@fastify/error'
import type { MultipartFile } from '@fastify/multipart'
import type { FastifyReply, FastifyRequest } from 'fastify'

export const ImportTooLarge = createError('IMPORT_TOO_LARGE', 'The file is larger than %s bytes.', 413)
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

/** What a form adds around its file at most. */
const formBytes = 64 * 1024

/**
 * The file of a form, while it arrives: no faster than it is taken, and never whole in memory.
 * @throws IMPORT_TOO_LARGE before a byte is read when the form says its length, else once there are too many.
 * @throws IMPORT_FILE_MISSING, IMPORT_FORM_MALFORMED
 */
export async function receiveFile(
  request: FastifyRequest,
  reply: FastifyReply,
  maxBytes: number,
): Promise<AsyncGenerator<Buffer, void>> {
  // Whatever ends this early, the rest of the body has to run dry, or the sender never gets to read why.
  function leaveRest(): void {
    if (request.raw.complete) return
    reply.header('connection', 'close')
    request.raw.unpipe()
    request.raw.resume()
  }

  // Counted here: busboy notices a file that is too large as well, but goes on to its end before it says so.
  async function* read(file: MultipartFile['file']): AsyncGenerator<Buffer, void> {
    let bytes = 0
    try {
      for await (const piece of file as AsyncIterable<Buffer>) {
        bytes += piece.length
        if (bytes > maxBytes) throw new ImportTooLarge(maxBytes)
        yield piece
      }
    } catch (error) {
      throw error instanceof ImportTooLarge ? error : new ImportFormMalformed()
    } finally {
      leaveRest()
    }
  }

  if (Number(request.headers['content-length']) > maxBytes + formBytes) {
    leaveRest()
    throw new ImportTooLarge(maxBytes)
  }
  const part = await request.file({ limits: { files: 1, fileSize: Infinity } }).catch(() => {
    leaveRest()
    throw new ImportFormMalformed()
  })
  if (part?.fieldname !== 'file') {
    leaveRest()
    throw new ImportFileMissing()
  }
  return read(part.file)
}
