import { connect, type Socket } from 'node:net'

const CONNECT_MS = 1000
/** If an answer is due and nothing arrives for so long, the connection is closed and opened again. */
const SILENCE_MS = 2000

/** memcached's answer: `HD` (done), `VA` (a value), `EN` (no such key), `NS`, `EX` and `NF` (not stored, and why). */
interface Reply {
  status: string
  value: string | null
  /** The token behind a flag, for example `c` for the version of a value. */
  flag(name: string): string | undefined
}

export interface MemcachedConnection {
  /** Rejects at once while there is no connection. The length of `data` in bytes replaces `S` in the command. */
  send(command: string, data?: string): Promise<Reply>
  /** Resolves once the first connection is made or has failed. */
  readonly tried: Promise<void>
  close(): void
}

interface Waiting {
  resolve(reply: Reply): void
  reject(error: Error): void
}

/**
 * One pipelined connection that reconnects by itself. No maintained library on npm supports the meta commands, and without
 * them a read cannot renew the expiry in the same command.
 *
 * @see https://docs.memcached.org/protocols/meta/
 */
export function connectMemcached(host: string, port: number): MemcachedConnection {
  let socket: Socket
  let patience: NodeJS.Timeout | undefined
  let waiting: Waiting[] = []
  let received: Buffer = Buffer.alloc(0)
  let isClosed = false

  function open(): void {
    socket = connect({ host, port, noDelay: true })
    expectWithin(CONNECT_MS)
    socket.on('connect', () => clearTimeout(patience))
    socket.on('data', receive)
    socket.on('error', fail)
    socket.on('close', () => {
      clearTimeout(patience)
      fail(new Error('memcached closed the connection'))
      if (!isClosed) setTimeout(open, 100).unref()
    })
  }

  /** Not the socket's own timeout: each write renews that, so under traffic it would never end a silent connection. */
  function expectWithin(ms: number): void {
    clearTimeout(patience)
    patience = setTimeout(() => socket.destroy(new Error('memcached is silent')), ms)
  }

  function fail(error: Error): void {
    const unanswered = waiting
    waiting = []
    received = Buffer.alloc(0)
    for (const { reject } of unanswered) reject(error)
  }

  function receive(chunk: Buffer): void {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    readAnswers()
    if (waiting.length > 0) expectWithin(SILENCE_MS)
    else clearTimeout(patience)
  }

  function readAnswers(): void {
    for (;;) {
      const end = received.indexOf('\r\n')
      if (end === -1) return
      const [status = '', ...tokens] = received.toString('utf8', 0, end).split(' ')
      let length = end + 2
      let value: string | null = null
      if (status === 'VA') {
        length += Number(tokens.shift()) + 2
        if (received.length < length) return
        value = received.toString('utf8', end + 2, length - 2)
      }
      received = received.subarray(length)
      answer(status, tokens, value)
    }
  }

  function answer(status: string, tokens: string[], value: string | null): void {
    const asker = waiting.shift()
    if (status.endsWith('_ERROR')) asker?.reject(new Error(`memcached: ${tokens.join(' ')}`))
    else
      asker?.resolve({
        status,
        value,
        flag: (name) => tokens.find((token) => token.startsWith(name))?.slice(1),
      })
  }

  function send(command: string, data?: string): Promise<Reply> {
    if (socket.readyState !== 'open') return Promise.reject(new Error('memcached is not connected'))
    const isStore = data !== undefined
    const line = isStore ? command.replace(' S ', ` ${Buffer.byteLength(data)} `) : command
    return new Promise((resolve, reject) => {
      if (waiting.push({ resolve, reject }) === 1) expectWithin(SILENCE_MS)
      socket.write(isStore ? `${line}\r\n${data}\r\n` : `${line}\r\n`)
    })
  }

  open()
  return {
    send,
    tried: new Promise((resolve) => {
      socket.once('connect', resolve)
      socket.once('close', () => resolve())
    }),
    close() {
      isClosed = true
      socket.destroy()
    },
  }
}
