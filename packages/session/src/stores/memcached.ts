import { applyLines, findJson } from '../record.ts'
import { sessionBusy, StoreUnsuitable } from '../session-error.ts'
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
  const { hostname, port } = new URL(url)
  const connection = connectMemcached(hostname, Number(port || 11211))
  const { send } = connection
  await connection.tried

  /** Reads, decides, and writes only when nobody else wrote in between. Returns what `decide` returned at last. */
  async function change<T extends { text?: string; ttlMs: number }>(
    key: string,
    decide: (text: string | null) => T | null,
  ): Promise<T | null> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const found = await send(`mg ${key} v c`)
      const decision = decide(found.value)
      if (!decision || decision.text === undefined) return decision
      const condition = found.value === null ? 'ME' : `C${found.flag('c')}`
      const { status } = await send(`ms ${key} S T${expiry(decision.ttlMs)} ${condition}`, decision.text)
      if (status === 'HD') return decision
    }
    throw sessionBusy()
  }

  async function changeList(ownerKey: string, edit: (lines: string[]) => string[]): Promise<void> {
    await change(listKey(ownerKey), (text) => {
      const lines = edit(readList(text))
      const ttlMs = Math.max(0, ...lines.map(untilOf)) - Date.now()
      return text === null && lines.length === 0
        ? null
        : { text: lines.join('\n'), ttlMs: Math.max(1, ttlMs) }
    })
  }

  /** A name that stays on the list of a full memcached harms nobody: there is no session behind it. */
  async function unlist(ownerKey: string, key: string): Promise<void> {
    const others = (lines: string[]): string[] => lines.filter((line) => !line.startsWith(`${key} `))
    await changeList(ownerKey, others).catch(() => {})
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
      const outcome = await change(recordKey(key), (text) => {
        if (text === null) return null
        if (expect && findJson(text, expect[0]) !== expect[1]) return { conflict: text, ttlMs }
        return { text: applyLines(text, lines), ttlMs }
      })
      if (!outcome) return 'gone'
      return 'conflict' in outcome ? { conflict: outcome.conflict! } : 'done'
    },

    async remove(key, ownerKey) {
      const record = await take(key)
      if (ownerKey) await unlist(ownerKey, key)
      return record
    },

    async list(ownerKey) {
      const lines = readList((await send(`mg ${listKey(ownerKey)} v`)).value)
      return Promise.all(lines.map(readListed))
    },

    async check() {
      const { status } = await send('mn')
      if (status === 'ERROR') throw new StoreUnsuitable('a memcached before 1.6, which has no meta commands')
    },

    async [Symbol.asyncDispose]() {
      connection.close()
    },
  }

  /** Deletes exactly what was read, so that of many callers one gets it, and the last of its writes. */
  async function take(key: string): Promise<string | null> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { value, flag } = await send(`mg ${recordKey(key)} v c`)
      if (value === null) return null
      const { status } = await send(`md ${recordKey(key)} C${flag('c')}`)
      if (status === 'HD') return value
    }
    throw sessionBusy()
  }

  async function readListed(line: string): Promise<ListedRecord> {
    const key = line.slice(0, line.indexOf(' '))
    const { value, flag } = await send(`mg ${recordKey(key)} v t`)
    return { key, record: value, leftMs: Number(flag('t') ?? 0) * 1000, until: untilOf(line) }
  }
}

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
