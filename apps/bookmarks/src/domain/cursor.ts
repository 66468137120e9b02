import { createError } from '@fastify/error'

/** The end of a page of a list: its last bookmark. */
export interface Position {
  createdAt: Date
  id: string
}

export const CursorInvalid = createError(
  'CURSOR_INVALID',
  'This cursor is none that was given out: start again without one.',
  400,
)

/** The position as a text that is opaque to clients. */
export function formatCursor({ createdAt, id }: Position): string {
  return Buffer.from(`${createdAt.getTime()} ${id}`).toString('base64url')
}

/** @throws CURSOR_INVALID when {@link formatCursor} did not create it. */
export function parseCursor(text: string): Position {
  const [, time, id] = /^(\d{1,15}) ([0-9a-f-]{36})$/.exec(Buffer.from(text, 'base64url').toString()) ?? []
  if (time === undefined || id === undefined) throw new CursorInvalid()
  return { createdAt: new Date(Number(time)), id }
}
