import { connect } from 'node:net'

/**
 * Says one line to a server of lines (Redis's inline commands, Memcached) and resolves with its answer once that
 * matches. Rejects when the server closes, or has not answered so within a second.
 */
export async function expectAnswer(port: number, line: string, expected: RegExp): Promise<RegExpMatchArray> {
  const socket = connect(port, '127.0.0.1')
  const deadline = setTimeout(
    () => socket.destroy(new Error(`${line} was not answered within 1000 ms`)),
    1000,
  )
  try {
    socket.write(`${line}\r\n`)
    let answer = ''
    for await (const chunk of socket) {
      answer += String(chunk)
      const match = answer.match(expected)
      if (match) return match
      // Redis's errors begin so. Anything else may be the beginning of what we wait for.
      if (answer.startsWith('-')) throw new Error(`${line} was answered ${answer.trim()}`)
    }
    throw new Error(`${line} was answered ${answer.trim() || 'with nothing'}`)
  } finally {
    clearTimeout(deadline)
    socket.destroy()
  }
}
