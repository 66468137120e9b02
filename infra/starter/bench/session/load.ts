import { connect } from 'node:net'

export interface Question {
  method: 'GET' | 'POST'
  path: string
  cookie: string | undefined
}

/**
 * Sends `amount` requests in all. Each connection sends its requests in turn, the next one when the last is answered. The
 * client does as little as possible: on two cores, one that costs more than the server would measure itself.
 *
 * @throws when an answer is not 200
 */
export async function load(port: number, connections: Question[][], amount: number): Promise<void> {
  let left = amount
  const takeOne = (): boolean => (left -= 1) >= 0
  await Promise.all(connections.map((questions) => keepAsking(port, questions.map(wordsOf), takeOne)))
}

function wordsOf({ method, path, cookie }: Question): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'host: localhost', 'content-length: 0']
  if (cookie !== undefined) lines.push(`cookie: ${cookie}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

function keepAsking(port: number, questions: string[], takeOne: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let asked = 0
    let answer = ''

    function ask(): void {
      if (!takeOne()) return resolve(void socket.destroy())
      socket.write(questions[asked % questions.length]!)
      asked += 1
    }
    function receive(chunk: string): void {
      answer += chunk
      const end = answer.indexOf('\r\n\r\n')
      if (end === -1) return
      const length = Number(/^content-length: (\d+)/im.exec(answer)?.[1])
      if (answer.length < end + 4 + length) return
      if (!answer.startsWith('HTTP/1.1 200 ')) return fail(new Error(`It was answered ${answer}`))
      answer = ''
      ask()
    }
    function fail(error: Error): void {
      socket.destroy()
      reject(error)
    }

    socket.setEncoding('latin1').on('connect', ask).on('data', receive).on('error', fail)
    socket.on('close', () => fail(new Error('The server closed the connection')))
  })
}
