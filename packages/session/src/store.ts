import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import type { Line } from './record.ts'
// keep: memcached
import type { MemcachedConnection } from './stores/memcached-connection.ts'
// /keep

/** Whose list a session stands on, and until when at the latest (epoch milliseconds). */
export interface Owner {
  key: string
  until: number
}

export interface ListedRecord {
  key: string
  /** The first line of the record. Null: on the list, but there is no such record (any more, or not yet). */
  head: string | null
  /** How long the record still has to live. */
  leftMs: number
  until: number
}

export interface ListPage {
  sessions: ListedRecord[]
  /** What `list` takes for the next page; undefined when this is the last one. */
  next?: ListedRecord | undefined
}

/**
 * Where sessions live: text under a key, each with its time to live. Keys and owners are hashes (43 characters of
 * base64url), records are the text of `record.ts`; a store looks into neither beyond finding a line.
 *
 * Every driver keeps this contract, and the tests play it on every driver:
 * - a record past its time is absent, for every operation, and its disk or memory comes back by itself;
 * - nothing but `create` brings a record into being, so what is removed stays removed;
 * - operations on one key happen one after the other, whichever process asked;
 * - a person's list is written before the record and cleared after it, so a crash leaves a name without a
 *   session, never a session nobody can see; whose name is struck off meanwhile is not created.
 */
export interface SessionStore extends AsyncDisposable {
  /** The record, which from now on has `ttlMs` to live. */
  load(key: string, ttlMs: number): Promise<string | null>
  /** When it is done, it tells how many names are on the owner's list then, this one included. */
  create(key: string, record: string, ttlMs: number, owner?: Owner): Promise<CreateResult>
  /**
   * Replaces, adds or removes lines: 'done', and the record has `ttlMs` to live; 'gone' when there is none. When
   * the line `expect` does not stand there as given nothing changes and the present record comes back.
   */
  patch(key: string, change: Patch, ttlMs: number): Promise<PatchResult>
  /** Ends the session and returns its last record. Of many callers one gets it. */
  remove(key: string, ownerKey?: string): Promise<string | null>
  /** Ends at most a page of one person's sessions, and returns how many of them there were. */
  removeAll(keys: readonly string[], ownerKey: string): Promise<number>
  /**
   * A page of one person's sessions, those first whose `until` comes first, without touching their time. A page is so
   * small that it takes a fraction of the guard's deadline and a few MB at most, whatever the size of the list. What stays on
   * the list while one goes from page to page is met once.
   */
  list(ownerKey: string, next?: ListedRecord): Promise<ListPage>
  /** Rejects while the store cannot be used. */
  check(): Promise<void>
  /** The store's own connection, lent to what else is to live there, as limits do. It ends with the store. */
  readonly connection: StoreConnection
}

/** By the kind of server. None of them keeps a queue, and only the session store's own commands have its deadline. */
export type StoreConnection =
  | { redis: Redis | Cluster }
  // keep: memcached
  | { memcached: Pick<MemcachedConnection, 'send'> }
  // /keep
  | { postgres: { query<Row>(text: string, values: readonly unknown[]): Promise<Row[]> } }

/** 'taken': there is such a key. 'gone': `remove` or `removeAll` took its name off the list before it was stored. */
export type CreateResult = 'taken' | 'gone' | { listed: number }

export interface Patch {
  lines: readonly Line[]
  expect?: Line
}

export type PatchResult = 'done' | 'gone' | { conflict: string }

// A name on the list without a session is either about to get one (its sign-in is under way) or a leftover.
const LEFTOVER_AFTER_MS = 60_000

type LivingRecord = ListedRecord & { head: string }

/**
 * The newest sessions of a person, oldest first. Those beyond `maxPerUser` end, and names without a session go. Of a
 * list that has grown without a cap no more than a page is in memory at a time.
 */
export async function keepNewest(
  store: SessionStore,
  ownerKey: string,
  { absoluteMs, maxPerUser }: { absoluteMs: number; maxPerUser: number },
): Promise<LivingRecord[]> {
  const newest: LivingRecord[] = []
  for await (const page of pagesOf(store, ownerKey)) {
    newest.push(...page.filter((listed): listed is LivingRecord => listed.head !== null))
    const surplus = newest.splice(0, newest.length - maxPerUser)
    const signedInBefore = Date.now() - LEFTOVER_AFTER_MS
    const leftovers = page.filter(({ head, until }) => head === null && until - absoluteMs < signedInBefore)
    await removeListed(store, ownerKey, [...surplus, ...leftovers])
  }
  return newest
}

/** The names on a person's list, oldest first. */
export async function* pagesOf(store: SessionStore, ownerKey: string): AsyncGenerator<ListedRecord[]> {
  let next: ListedRecord | undefined
  do {
    const page = await store.list(ownerKey, next)
    yield page.sessions
    next = page.next
  } while (next)
}

export async function removeListed(
  store: SessionStore,
  ownerKey: string,
  listed: readonly ListedRecord[],
): Promise<number> {
  if (listed.length === 0) return 0
  return store.removeAll(
    listed.map(({ key }) => key),
    ownerKey,
  )
}

const MOST_WAIT_MS = 20

/**
 * Resolves after a wait at random, of up to a millisecond for each attempt before and 20 at most. Writers that begin again at
 * once go on in step, and one of them may be too late a hundred times in a row.
 *
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
export async function backOff(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(attempt, MOST_WAIT_MS))
}
