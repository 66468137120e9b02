import type { FastifyRequest } from 'fastify'
import {
  applyLines,
  buildRecord,
  findJson,
  nameOf,
  readHead,
  readValues,
  type Line,
  type RecordHead,
  type SessionUser,
} from './record.ts'
import { deadlineOf, keyOf } from './session-cookie.ts'
import { sessionBusy, SessionGone, storeUnavailable } from './session-error.ts'
import type { Owner, SessionStore } from './store.ts'

/** What all requests of a service share. */
export interface SessionPolicy {
  store: SessionStore
  idleMs: number
  absoluteMs: number
  /** A session object of @fastify/session with a new, signed id. Nothing is stored. */
  issueShell(request: FastifyRequest): Shell
}

/** The session object of @fastify/session: it holds the id and its cookie, and we hold the data. */
export type Shell = FastifyRequest['session']

/** A session as one request sees it: what was loaded, and what this request changed. */
export interface SessionState {
  readonly policy: SessionPolicy
  readonly request: FastifyRequest
  shell: Shell
  /** As the store has it; undefined when there is none yet. */
  record: string | undefined
  head: RecordHead | null
  /** The record's values, parsed when the first one is read. */
  values: Record<string, unknown> | undefined
  /** Set by this request; undefined stands for "deleted". */
  changes: Map<string, unknown>
  /** Keys whose objects somebody holds and may have changed in place. */
  lent: Set<string>
  /** Set while the session is to move to a new id. */
  move: Move | undefined
  /** The id is dead, or the store failed us: nothing is stored any more. */
  isOver: boolean
  isSignedOut: boolean
  /** The answer waits for what is being stored. */
  isAnswering: boolean
  /** Commits of one request, `save()` and the one of its answer, come one after the other. */
  committed: Promise<void>
}

export const STATE: unique symbol = Symbol('session state')

declare module 'fastify' {
  interface FastifyRequest {
    [STATE]: SessionState | null
  }
}

interface Move {
  user: Readonly<SessionUser> | null
  /** Of what the old record holds when it is taken. */
  keeps(key: string): boolean
  /** Who it is was proved just now, so it does not matter whether the old session still exists. */
  isProved: boolean
}

const nothing = Promise.resolve()

export function openState(policy: SessionPolicy, request: FastifyRequest, shell: Shell): SessionState {
  const { record, head } = shell as { record?: string; head?: RecordHead }
  return {
    policy,
    request,
    shell,
    record,
    head: head ?? null,
    values: undefined,
    changes: new Map(),
    lent: new Set(),
    move: undefined,
    isOver: false,
    isSignedOut: false,
    isAnswering: false,
    committed: nothing,
  }
}

export function stateOf(request: FastifyRequest): SessionState {
  const state = request[STATE]
  if (!state)
    throw new Error('There is no session here: register the session plugin first, in the same scope.')
  return state
}

export function userOf(state: SessionState): Readonly<SessionUser> | null {
  return state.move ? state.move.user : (state.head?.user ?? null)
}

export function readKey(state: SessionState, key: string): unknown {
  if (key === 'user') return userOf(state) ?? undefined
  if (state.changes.has(key)) return state.changes.get(key)
  if (state.record === undefined) return undefined
  state.values ??= readValues(state.record)
  const value = Object.hasOwn(state.values, key) ? state.values[key] : undefined
  if (typeof value === 'object' && value !== null) state.lent.add(key)
  return value
}

/** @throws SESSION_GONE */
export function writeKey(state: SessionState, key: string, value: unknown): void {
  if (state.isOver) throw new SessionGone()
  if (key === 'user') signInState(state, (value as SessionUser | undefined) ?? null)
  else state.changes.set(key, value)
}

export function keysOf(state: SessionState): string[] {
  if (state.record !== undefined) state.values ??= readValues(state.record)
  const names = new Set([...Object.keys(state.values ?? {}), ...state.changes.keys(), 'user'])
  return [...names].filter((key) => readKey(state, key) !== undefined)
}

/**
 * Another person means another id: whoever knew the old one (session fixation) knows nothing. What an anonymous
 * visitor had goes along; what belonged to another person does not.
 */
export function signInState(state: SessionState, user: SessionUser | null): void {
  const previous = userOf(state)
  const isSamePerson = previous === null || previous.id === user?.id
  if (!isSamePerson) state.changes.clear()
  state.move = { ...moveOf(state), user: user && Object.freeze(user), isProved: true }
  if (!isSamePerson) state.move.keeps = () => false
}

/** A new id; of the data, what is named. @throws SESSION_GONE */
export function regenerateState(state: SessionState, keys: readonly string[]): void {
  if (state.isOver) throw new SessionGone()
  const kept = new Set(keys)
  const user = kept.has('user') ? userOf(state) : null
  for (const key of state.changes.keys()) if (!kept.has(key)) state.changes.delete(key)
  const move = moveOf(state)
  state.move = { ...move, user, keeps: (key) => kept.has(key) && move.keeps(key) }
}

function moveOf(state: SessionState): Move {
  return state.move ?? { user: userOf(state), keeps: () => true, isProved: false }
}

/** Ends the session in the store, now; the request goes on as an anonymous one. */
export async function signOutState(state: SessionState): Promise<void> {
  if (state.record !== undefined) {
    await state.policy.store.remove(keyOf(state.shell.sessionId), ownerKeyOf(state.head?.user))
  }
  const { policy, request } = state
  Object.assign(state, openState(policy, request, policy.issueShell(request)), { isSignedOut: true })
}

/** What a request that failed had changed is not stored. */
export function discardChanges(state: SessionState): void {
  state.changes.clear()
  state.lent.clear()
  state.move = undefined
}

export function hasChanges(state: SessionState): boolean {
  return !state.isOver && (state.move !== undefined || changedLines(state).length > 0)
}

function changedLines(state: SessionState): Line[] {
  const lines: Line[] = []
  for (const key of new Set([...state.changes.keys(), ...state.lent])) {
    const name = nameOf(key)
    const json = JSON.stringify(readKey(state, key)) ?? ''
    if (json !== findJson(state.record ?? '', name)) lines.push([name, json])
  }
  return lines
}

/**
 * Stores what this request changed: only that, and only into a session that still exists.
 *
 * @throws SESSION_GONE, SESSION_STORE_UNAVAILABLE; and then nothing more of this request is stored
 */
export function commitState(state: SessionState): Promise<void> {
  state.committed = state.committed.then(() => commit(state))
  return state.committed
}

async function commit(state: SessionState): Promise<void> {
  if (state.isOver) throw new SessionGone()
  try {
    if (state.move) return await commitMove(state, state.move)
    const lines = changedLines(state)
    if (lines.length === 0) return
    if (state.record === undefined) return await createRecord(state, null, lines)
    const key = keyOf(state.shell.sessionId)
    const result = await state.policy.store.patch(key, { lines }, timeLeft(state))
    if (result !== 'done') throw new SessionGone()
    adopt(state, applyLines(state.record, lines))
  } catch (error) {
    state.isOver = true
    throw error
  }
}

async function commitMove(state: SessionState, { user, keeps, isProved }: Move): Promise<void> {
  const lines = changedLines(state)
  let kept: Line[] = []
  if (state.record !== undefined) {
    const key = keyOf(state.shell.sessionId)
    const old = await state.policy.store.remove(key, ownerKeyOf(state.head?.user))
    // Somebody ended the session while this request was under way: a new id must not bring it back.
    if (old === null && !isProved) throw new SessionGone()
    kept = old === null ? [] : keptLines(old, keeps)
  }
  await createRecord(state, user, [...kept, ...lines])
  state.move = undefined
}

/** Taken from the record as it was at its end, so that what others stored meanwhile comes along. */
function keptLines(record: string, keeps: Move['keeps']): Line[] {
  try {
    return Object.keys(readValues(record))
      .filter(keeps)
      .map((key) => [nameOf(key), findJson(record, nameOf(key))])
  } catch {
    return []
  }
}

async function createRecord(state: SessionState, user: SessionUser | null, lines: Line[]): Promise<void> {
  const { policy, request } = state
  state.shell = policy.issueShell(request)
  const { sessionId } = state.shell
  const userAgent = user ? (request.headers['user-agent'] ?? '').slice(0, 200) : ''
  const head: RecordHead = { createdAt: Date.now(), user, userAgent }
  const record = applyLines(buildRecord(head), lines)
  const owner: Owner | undefined = user ? { key: keyOf(user.id), until: deadlineOf(sessionId) } : undefined
  const isCreated = await policy.store.create(keyOf(sessionId), record, timeLeft(state), owner)
  if (!isCreated) throw storeUnavailable('the id is taken')
  adopt(state, record, head)
}

/** Compare-and-set: `fn` may run again, with the value another request has stored meanwhile. */
export async function updateState(
  state: SessionState,
  key: string,
  fn: (value: unknown) => unknown,
): Promise<unknown> {
  if (state.isOver) throw new SessionGone()
  if (state.record === undefined || state.move || key === 'user') {
    // Nobody else knows the new id yet.
    writeKey(state, key, await fn(readKey(state, key)))
    return readKey(state, key)
  }
  const name = nameOf(key)
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const json = findJson(state.record, name)
    const value = await fn(json === '' ? undefined : JSON.parse(json))
    const lines: Line[] = [[name, JSON.stringify(value) ?? '']]
    const id = keyOf(state.shell.sessionId)
    const result = await state.policy.store.patch(id, { lines, expect: [name, json] }, timeLeft(state))
    if (result === 'gone') {
      state.isOver = true
      throw new SessionGone()
    }
    keepLent(state)
    if (result === 'done') {
      state.changes.delete(key)
      adoptRecord(state, applyLines(state.record, lines))
      return value
    }
    adoptRecord(state, result.conflict)
  }
  throw sessionBusy()
}

/** Reads the session again and forgets what this request changed. @throws SESSION_GONE */
export async function reloadState(state: SessionState): Promise<void> {
  state.changes.clear()
  state.lent.clear()
  state.move = undefined
  if (state.record === undefined) return
  const record = await state.policy.store.load(keyOf(state.shell.sessionId), timeLeft(state))
  const head = record === null ? null : readHead(record)
  if (record === null || head === null) {
    state.isOver = true
    throw new SessionGone()
  }
  adopt(state, record, head)
}

function adopt(state: SessionState, record: string, head = state.head): void {
  state.head = head
  state.changes.clear()
  adoptRecord(state, record)
}

function adoptRecord(state: SessionState, record: string): void {
  state.record = record
  state.values = undefined
  state.lent.clear()
}

/** Objects that the route holds and changed in place are still changes when the record under them is replaced. */
function keepLent(state: SessionState): void {
  for (const key of state.lent) state.changes.set(key, readKey(state, key))
}

/** A record is never given longer than what is left of its absolute limit. @throws SESSION_GONE */
function timeLeft({ policy, shell }: SessionState): number {
  const leftMs = Math.min(policy.idleMs, deadlineOf(shell.sessionId) - Date.now())
  if (leftMs <= 0) throw new SessionGone()
  return leftMs
}

export function ownerKeyOf(user: SessionUser | null | undefined): string | undefined {
  return user ? keyOf(user.id) : undefined
}
