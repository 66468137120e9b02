import { applyLines, findJson } from '../record.ts'
import { sessionBusy, StoreUnsuitable } from '../session-error.ts'
import { parseHost } from '../store-url.ts'
import type { ListedRecord, SessionStore } from '../store.ts'
import { connectMemcached } from './memcached-connection.ts'

const MONTH_S = 30 * 24 * 60 * 60

const recordKey = (key: string): string => `session:${key}`
const listKey = (ownerKey: string): string => `sessions-of:${ownerKey}`

/**
 * Sessions in memcached 1.6 or newer (its meta commands). It keeps what it promises, and it promises less than the
 * others: a restart or a full memory signs people out, time is whole seconds, and a list may lose a name.
 */
export async function openStore(url: string): Promise<SessionStore> {
  const { host, port } = parseHost(url.slice(url.indexOf('://') + 3).split('/')[0]!, 11211)
  const connection = connectMemcached(host, port)
  const { send } = connection
  await connection.tried

  /** Reads, decides, and does it only when nobody else wrote in between. Returns what it found at last. */
  async function change(key: string, decide: (text: string | null) => Decision): Promise<string | null> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { value, flag } = await send(`mg ${key} v c`)
      const decision = decide(value)
      if (!decision) return value
      const condition = value === null ? 'ME' : `C${flag('c')}`
      const { status } =
        decision === 'remove'
          ? await send(`md ${key} ${condition}`)
          : await send(`ms ${key} S T${expiry(decision.ttlMs)} ${condition}`, decision.put)
      if (status === 'HD') return value
    }
    throw sessionBusy()
  }

  async function changeList(ownerKey: string, edit: (lines: string[]) => string[]): Promise<void> {
    await change(listKey(ownerKey), (text) => {
      const lines = edit(readList(text))
      const ttlMs = Math.max(...lines.map(untilOf)) - Date.now()
      if (lines.length > 0) return { put: lines.join('\n'), ttlMs }
      return text === null ? undefined : 'remove'
    })
  }

  async function readListed(line: string): Promise<ListedRecord> {
    const key = line.slice(0, line.indexOf(' '))
    const { value, flag } = await send(`mg ${recordKey(key)} v t`)
    return { key, record: value, leftMs: Number(flag('t') ?? 0) * 1000, until: untilOf(line) }
  }

  return {
    async load(key, ttlMs) {
      return (await send(`mg ${recordKey(key)} v T${expiry(ttlMs)}`)).value
    },

    async create(key, record, ttlMs, owner) {
      if (owner) await changeList(owner.key, (lines) => [...lines, `${key} ${owner.until}`])
      return (await send(`ms ${recordKey(key)} S T${expiry(ttlMs)} ME`, record)).status === 'HD'
    },

    async patch(key, { lines, expect }, ttlMs) {
      let isAsExpected = true
      const found = await change(recordKey(key), (text) => {
        isAsExpected = text !== null && (!expect || findJson(text, expect[0]) === expect[1])
        return isAsExpected ? { put: applyLines(text!, lines), ttlMs } : undefined
      })
      if (found === null) return 'gone'
      return isAsExpected ? 'done' : { conflict: found }
    },

    async remove(key, ownerKey) {
      const record = await change(recordKey(key), (text) => (text === null ? undefined : 'remove'))
      const isOther = (line: string): boolean => !line.startsWith(`${key} `)
      // A full memcached may refuse the shorter list; the name that stays has no session behind it.
      if (ownerKey) await changeList(ownerKey, (lines) => lines.filter(isOther)).catch(() => {})
      return record
    },

    async list(ownerKey) {
      const { value } = await send(`mg ${listKey(ownerKey)} v`)
      return Promise.all(readList(value).map(readListed))
    },

    async check() {
      const { status } = await send('mn')
      if (status === 'ERROR') throw new StoreUnsuitable('a memcached before 1.6, which has no meta commands')
    },

    connection: { memcached: connection },

    async [Symbol.asyncDispose]() {
      connection.close()
    },
  }
}

type Decision = { put: string; ttlMs: number } | 'remove' | undefined

function readList(text: string | null): string[] {
  return (text ?? '').split('\n').filter((line) => line && untilOf(line) > Date.now())
}

function untilOf(line: string): number {
  return Number(line.slice(line.indexOf(' ')))
}

/** Whole seconds; memcached takes more than 30 days for a date. */
function expiry(ttlMs: number): number {
  const seconds = Math.ceil(ttlMs / 1000)
  return seconds > MONTH_S ? Math.ceil(Date.now() / 1000) + seconds : seconds
}
