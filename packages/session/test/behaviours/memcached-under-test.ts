import { connect } from 'node:net'
import type { BackingServer } from './redis-under-test.ts'
import type { StoreUnderTest } from './stage.ts'

/** memcached for tests. It must run with `-M`, so that it refuses writes when it is full. */
export function openMemcachedUnderTest(server: BackingServer): StoreUnderTest {
  const { hostname, port } = new URL(server.url)

  /** Sends a request on a new connection and reads to the end of the answer. */
  function talk(request: string, isOver: (answer: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname).setEncoding('utf8')
      let answer = ''
      socket.on('error', reject)
      socket.on('data', (chunk: string) => {
        answer += chunk
        if (!isOver(answer)) return
        socket.destroy()
        resolve(answer)
      })
      socket.write(request)
    })
  }

  async function readKeys(): Promise<string[]> {
    const answer = await talk('lru_crawler metadump hash\r\n', (text) => /(^|\n)(END|BUSY.*)\r\n$/.test(text))
    if (answer.includes('BUSY')) return readKeys()
    return [...answer.matchAll(/^key=(\S+)/gm)].map(([, key]) => decodeURIComponent(key!))
  }

  async function countAll(): Promise<number> {
    const answer = await talk('stats\r\n', (text) => text.endsWith('END\r\n'))
    const counters = answer.matchAll(/^STAT (?:cmd_(?:get|set|touch)|delete_hits|delete_misses) (\d+)/gm)
    return [...counters].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  return {
    name: 'memcached',
    url: server.url,
    cannot: {
      22: 'a memcached that restarts has forgotten everybody',
      23: 'a memcached that has no room for a write drops what was to be written, so the session ends',
    },
    recoveryMs: { thaw: 500, restart: 1000 },
    tickMs: 1000,
    async dump() {
      const entries = []
      for (const key of await readKeys()) {
        const answer = await talk(`mg ${key} v t\r\nmn\r\n`, (text) => text.endsWith('MN\r\n'))
        const [, left, value] = /^VA \d+ t(-?\d+)\r\n([^]*)\r\nMN\r\n$/.exec(answer) ?? []
        if (left) entries.push({ key, value: value!, leftMs: left === '-1' ? Infinity : Number(left) * 1000 })
      }
      return entries
    },
    keyOf: (idHash) => `session:${idHash}`,
    purge: async (key) => void (await talk(`md ${key}\r\n`, (text) => text.endsWith('\r\n'))),
    corrupt: async (key, value) =>
      void (await talk(`ms ${key} ${Buffer.byteLength(value)} T60\r\n${value}\r\n`, (text) =>
        text.endsWith('\r\n'),
      )),
    async counted() {
      let before = await countAll()
      return {
        url: server.url,
        async countCommands() {
          const now = await countAll()
          const calls = now - before
          before = now
          return calls
        },
        async [Symbol.asyncDispose]() {},
      }
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    kill: () => server.kill(),
    restart: () => server.restart(),
    async fillUp() {
      const keys: string[] = []
      // memcached keeps memory per size of values, so every size is filled.
      for (let size = 50; size < 100_000; size = Math.ceil(size * 1.05)) {
        const batch = Math.ceil(1_000_000 / size)
        const lines = Array.from({ length: batch }, (_, i) => {
          keys.push(`filler-${size}-${i}`)
          return `ms filler-${size}-${i} ${size} T60\r\n${'x'.repeat(size)}\r\n`
        })
        await talk(`${lines.join('')}mn\r\n`, (text) => text.endsWith('MN\r\n'))
      }
      return {
        async [Symbol.asyncDispose]() {
          await talk(`${keys.map((key) => `md ${key} q\r\n`).join('')}mn\r\n`, (text) =>
            text.endsWith('MN\r\n'),
          )
        },
      }
    },
  }
}
