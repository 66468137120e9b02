import { connect } from 'node:net'
import { Readable } from 'node:stream'

export interface RawAnswer {
  status: number
  head: string
  body: string
}

/** Sends bytes that a real client would refuse to send, at once or in pieces. Reads until the other side ends. */
export async function sendRaw(port: number, bytes: string | AsyncIterable<string>): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1')
  Readable.from(bytes).pipe(socket, { end: false })
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head: head.toLowerCase(), body }
}
