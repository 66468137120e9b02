import type { FastifyInstance } from 'fastify'
import type { Cluster, Redis } from 'ioredis'
import type { Line } from './record.ts'
import type { MemcachedConnection } from './stores/memcached-connection.ts'

/** Whose list a session stands on, and until when at the latest (epoch milliseconds). */
export interface Owner {
  key: string
  until: number
}

export interface ListedRecord {
  key: string
  /** Null: on the list, but there is no such record (any more, or not yet). */
  record: string | null
  /** How long the record still has to live. */
  leftMs: number
  until: number
}

/**
 * Where sessions live: text under a key, each with its time to live. Keys and owners are hashes (43 characters of
 * base64url), records are the text of `record.ts`; a store looks into neither beyond finding a line.
 *
 * Every driver keeps this contract (`@repo/session/testing` tests it):
 * - a record past its time is absent, for every operation, and its disk or memory comes back by itself;
 * - nothing but `create` brings a record into being, so what is removed stays removed;
 * - operations on one key happen one after the other, whichever process asked;
 * - a person's list is written before the record and cleared after it, so a crash leaves a name without a
 *   session, never a session nobody can see.
 */
export interface SessionStore extends AsyncDisposable {
  /** The record, which from now on has `ttlMs` to live. */
  load(key: string, ttlMs: number): Promise<string | null>
  /** False when the key is taken. */
  create(key: string, record: string, ttlMs: number, owner?: Owner): Promise<boolean>
  /**
   * Replaces, adds or removes lines: 'done', and the record has `ttlMs` to live; 'gone' when there is none. When
   * the line `expect` does not stand there as given nothing changes and the present record comes back.
   */
  patch(key: string, change: Patch, ttlMs: number): Promise<PatchResult>
  /** Ends the session and returns its last record. Of many callers one gets it. */
  remove(key: string, ownerKey?: string): Promise<string | null>
  /** The sessions of one person, without touching their time. */
  list(ownerKey: string): Promise<ListedRecord[]>
  /** Rejects while the store cannot be used. */
  check(): Promise<void>
  /** The store's own connection, lent to what else is to live there, as limits do. It ends with the store. */
  readonly connection: StoreConnection
  /** Lends the service that connection, where a plugin of Fastify has a place for it. */
  decorate?(app: FastifyInstance): void
}

/** By the kind of server. None of them keeps a queue, and only the session store's own commands have its deadline. */
export type StoreConnection =
  | { redis: Redis | Cluster }
  | { memcached: Pick<MemcachedConnection, 'send'> }
  | { postgres: { query<Row>(text: string, values: readonly unknown[]): Promise<Row[]> } }

export interface Patch {
  lines: readonly Line[]
  expect?: Line
}

export type PatchResult = 'done' | 'gone' | { conflict: string }
