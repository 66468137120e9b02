import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import type { Line } from './record.ts'
// keep: memcached
import type { MemcachedConnection } from './stores/memcached-connection.ts'
// /keep

/** The user on whose list a session is, and the session's absolute deadline (epoch milliseconds). */
interface Owner {
  key: string
  until: number
}

export interface ListedRecord {
  key: string
  /** The first line of the record. Null when the record has ended or is not created yet. */
  head: string | null
  /** The record's time to live, in ms. */
  leftMs: number
  until: number
}

interface ListPage {
  sessions: ListedRecord[]
  /** Argument of `list` for the next page; undefined on the last page. */
  next?: ListedRecord | undefined
}

/**
 * A key-value store of sessions: text records, each with a time to live. Keys and owners are hashes (43 characters of
 * base64url). Records are the text of `record.ts`, in which a store only finds lines.
 *
 * Every driver keeps this contract, and the tests check it on every driver:
 * - an expired record is absent for every operation, and its disk or memory is freed without a cleanup job;
 * - only `create` creates a record, so a removed record stays removed;
 * - operations on one key happen one after the other, from all processes;
 * - a user's list is written before the record, and its name is removed after the record. So a crash leaves a name without
 *   a session, never a session that is not on the list. If the name is removed meanwhile, the record is not created.
 */
export interface SessionStore extends AsyncDisposable {
  /** Returns the record and sets its time to live, or returns null. */
  load(key: string, ttlMs: number): Promise<string | null>
  /** `listed` is the number of names on the owner's list afterwards, this one included, and 0 without an owner. */
  create(key: string, record: string, ttlMs: number, owner?: Owner): Promise<CreateResult>
  /**
   * Replaces, adds or removes lines, sets the time to live and returns 'done'; or 'gone' when there is no record. When the
   * record does not have the line `expect` as given, nothing changes, and `conflict` is the present record.
   */
  patch(key: string, change: Patch, ttlMs: number): Promise<PatchResult>
  /** Ends the session and returns its last record. Of several callers only one gets it, the others get null. */
  remove(key: string, ownerKey?: string): Promise<string | null>
  /** Ends at most a page of one user's sessions, and returns how many of them existed. */
  removeAll(keys: readonly string[], ownerKey: string): Promise<number>
  /**
   * A page of one user's sessions, the earliest `until` first. Their time to live does not change. A page is so small that
   * it takes a fraction of the guard's deadline and at most a few MB, whatever the size of the list. A session that stays on
   * the list while a caller reads all pages is returned exactly once.
   */
  list(ownerKey: string, next?: ListedRecord): Promise<ListPage>
  /** Rejects while the store is not available. */
  check(): Promise<void>
  /** The store's own connection, for other uses such as limits. It closes with the store. */
  readonly connection: StoreConnection
}

/** By the kind of server. None queues commands while disconnected. Only the session store's commands have its deadline. */
type StoreConnection =
  | { redis: Redis | Cluster }
  // keep: memcached
  | { memcached: Pick<MemcachedConnection, 'send'> }
  // /keep
  | { postgres: { query<Row>(text: string, values: readonly unknown[]): Promise<Row[]> } }

/** 'taken': the key exists. 'gone': `remove` or `removeAll` removed its name from the list before the record was stored. */
type CreateResult = 'taken' | 'gone' | { listed: number }

export interface Patch {
  lines: readonly Line[]
  expect?: Line
}

export type PatchResult = 'done' | 'gone' | { conflict: string }

// A name on the list without a session belongs to a sign-in that is not finished yet, or is a leftover.
const LEFTOVER_AFTER_MS = 60_000

type LivingRecord = ListedRecord & { head: string }

/**
 * The newest sessions of a user, oldest first. Ends older sessions beyond `maxPerUser`, and removes names without a session
 * that are older than a minute. At most a page beyond `maxPerUser` is in memory, even if the list grew without a limit.
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

/** All pages of a user's list, oldest first. */
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
 * Waits for a random time: up to 1 ms for each earlier attempt, at most 20 ms. Writers that retry at once stay in step, and
 * one of them may lose a hundred times in a row.
 *
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
export async function backOff(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(attempt, MOST_WAIT_MS))
}
