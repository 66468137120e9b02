import { applyLines, findJson } from '../record.ts'
import { sessionBusy, StoreUnsuitable } from '../session-error.ts'
import { parseHost } from '../store-url.ts'
import { backOff, type ListedRecord, type SessionStore } from '../store.ts'
import { connectMemcached } from './memcached-connection.ts'

const MONTH_S = 30 * 24 * 60 * 60
/** Small, because every record of a page is read in full. */
const PAGE = 50
/** A list is one value. memcached's limit for a value is 1 MB, which is 18,000 names. */
const MOST_NAMES = 12_000

const recordKey = (key: string): string => `session:${key}`
const listKey = (ownerKey: string): string => `sessions-of:${ownerKey}`

/**
 * Sessions in memcached 1.6 or newer (its meta commands). It promises less than the other stores: a restart or a full memory
 * signs users out, times are whole seconds, and a list may lose a name.
 */
export async function openStore(url: string): Promise<SessionStore> {
  const { host, port } = parseHost(url.slice(url.indexOf('://') + 3).split('/')[0]!, 11211)
  const connection = connectMemcached(host, port)
  const { send } = connection
  await connection.tried

  /** Compare-and-set: reads, decides, and writes if the value is unchanged, else retries. Returns the last value read. */
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
      await backOff(attempt)
    }
    throw sessionBusy()
  }

  async function changeList(ownerKey: string, edit: (names: Name[]) => Name[] | undefined): Promise<void> {
    const list = listKey(ownerKey)
    let found: Name[] = []
    const edited = change(list, (text) => {
      found = readList(text)
      const names = edit(found)
      return names?.length === 0 ? 'remove' : names && putList(names)
    })
    await edited.catch(async (error: unknown) => {
      // memcached drops a value when it has no room for the new one. Without the list its sessions could not be ended.
      const putBack = (text: string | null): Decision => (text === null ? putList(found) : undefined)
      if (found.length > 0) await change(list, putBack).catch(() => {})
      throw error
    })
  }

  async function enlist(name: Name, ownerKey: string): Promise<void> {
    let surplus: Name[] = []
    await changeList(ownerKey, (names) => {
      surplus = names.slice(0, Math.max(0, names.length - MOST_NAMES))
      return surplus.length > 0 ? undefined : [...names, name].sort(byAge)
    })
    if (surplus.length === 0) return
    await removeAll(
      surplus.map(({ key }) => key),
      ownerKey,
    )
    await enlist(name, ownerKey)
  }

  async function strike(keys: readonly string[], ownerKey: string): Promise<void> {
    const struck = new Set(keys)
    // A full memcached may refuse the shorter list. The names that stay have no session.
    await changeList(ownerKey, (names) => {
      const others = names.filter(({ key }) => !struck.has(key))
      return others.length < names.length ? others : undefined
    }).catch(() => {})
  }

  async function removeAll(keys: readonly string[], ownerKey: string): Promise<number> {
    const absent = await endRecords(keys)
    await strike(keys, ownerKey)
    // Again for records that were created before their names were removed.
    return keys.length - (await endRecords(absent)).length
  }

  /** Removes records. Returns the keys that had none. */
  async function endRecords(keys: readonly string[]): Promise<string[]> {
    const replies = await Promise.all(keys.map((key) => send(`md ${recordKey(key)}`)))
    return keys.filter((_, i) => replies[i]!.status !== 'HD')
  }

  async function readListed({ key, until }: Name): Promise<ListedRecord> {
    const { value, flag } = await send(`mg ${recordKey(key)} v t`)
    const head = value === null ? null : value.split('\n', 1)[0]!
    return { key, head, leftMs: Number(flag('t') ?? 0) * 1000, until }
  }

  return {
    async load(key, ttlMs) {
      return (await send(`mg ${recordKey(key)} v T${expiry(ttlMs)}`)).value
    },

    async create(key, record, ttlMs, owner) {
      if (owner) await enlist({ key, until: owner.until }, owner.key)
      const { status } = await send(`ms ${recordKey(key)} S T${expiry(ttlMs)} ME`, record)
      if (status !== 'HD') return 'taken'
      if (!owner) return { listed: 0 }
      const names = readList((await send(`mg ${listKey(owner.key)} v`)).value)
      if (names.some((name) => name.key === key)) return { listed: names.length }
      await endRecords([key])
      return 'gone'
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
      const take = (): Promise<string | null> =>
        change(recordKey(key), (text) => (text === null ? undefined : 'remove'))
      const record = await take()
      if (!ownerKey) return record
      await strike([key], ownerKey)
      return record ?? take()
    },

    removeAll,

    async list(ownerKey, last) {
      const { value } = await send(`mg ${listKey(ownerKey)} v`)
      const names = readList(value).filter((name) => !last || byAge(name, last) > 0)
      const sessions = await Promise.all(names.slice(0, PAGE).map(readListed))
      return { sessions, next: names.length > PAGE ? sessions.at(-1) : undefined }
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

/** A line of a list. */
type Name = Pick<ListedRecord, 'key' | 'until'>

function putList(names: readonly Name[]): Decision {
  const text = names.map(({ key, until }) => `${key} ${until}`).join('\n')
  return { put: text, ttlMs: names.at(-1)!.until - Date.now() }
}

/** Oldest first. An earlier release wrote them in the order of the sign-ins. */
function readList(text: string | null): Name[] {
  const lines = (text ?? '').split('\n').map((line) => line.split(' '))
  return lines
    .map(([key = '', until]) => ({ key, until: Number(until) }))
    .filter(({ until }) => until > Date.now())
    .sort(byAge)
}

function byAge(a: Name, b: Name): number {
  return a.until - b.until || (a.key < b.key ? -1 : Number(a.key > b.key))
}

/** In whole seconds. memcached reads a number above 30 days as a date. */
function expiry(ttlMs: number): number {
  const seconds = Math.ceil(ttlMs / 1000)
  return seconds > MONTH_S ? Math.ceil(Date.now() / 1000) + seconds : seconds
}
