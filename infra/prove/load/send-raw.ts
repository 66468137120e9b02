import { connect } from 'node:net'

/** The whole answer as text, and its status: 0 when the connection ended without an answer. */
export interface RawAnswer {
  status: number
  text: string
}

/** Writes bytes to a port unchanged. Reads until the other side closes the connection, at most for `patienceMs`. */
export function sendRaw(port: number, bytes: string | Buffer, patienceMs = 3000): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const deadline = setTimeout(() => socket.destroy(), patienceMs)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (text += chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(deadline)
      resolve({ status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0), text })
    })
    socket.on('connect', () => socket.write(bytes))
  })
}
