import type { FastifyReply, FastifyRequest } from 'fastify'
import { backOff } from './back-off.ts'
import { applyLines, buildRecord, findJson, nameOf, readHead, readValues } from './record.ts'
import type { Line, RecordHead, SessionUser } from './record.ts'
import { logUnseen, type OwnedWork } from './owned-work.ts'
import { deadlineOf, keyOf } from './session-cookie.ts'
import {
  changedLines,
  discardChanges,
  openData,
  readValue,
  rebase,
  type SessionData,
} from './session-data.ts'
import { sessionBusy, SessionGone, storeUnavailable, StoreUnavailable } from './session-error.ts'
import type { Patch, PatchResult, SessionStore } from './store.ts'
import { keepNewest } from './user-sessions.ts'

/** What all requests of a service share. */
export interface SessionPolicy {
  store: SessionStore
  idleMs: number
  absoluteMs: number
  maxPerUser: number
  /** A session object of @fastify/session with a new, signed id. Nothing is stored. */
  issueShell(request: FastifyRequest): Shell
}

/** The session object of @fastify/session: it holds the id and its cookie, and we hold the data. */
export type Shell = FastifyRequest['session']

/** A session during one request. */
export interface SessionState {
  readonly policy: SessionPolicy
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  shell: Shell
  head: RecordHead | null
  data: SessionData
  /** Set while the session is to get a new id. */
  move: Move | undefined
  /** The session has ended, or the store failed us: nothing of this request is stored any more. */
  failure: Error | undefined
  isSignedOut: boolean
  /** An error was thrown, and is what the answer tells. */
  hasThrown: boolean
  /** Something was read of the session, so the answer is one person's. */
  isRead: boolean
  /** The answer waits for what is being stored. */
  isAnswering: boolean
  isAnswered: boolean
  /** What the route asked for. The answer waits for it. */
  owned: OwnedWork[]
  /** What a request stores it stores in turn. */
  turn: Promise<void> | undefined
  /** Whose session came with the request: null is an anonymous one, undefined none. */
  readonly cameAs: string | null | undefined
  /** The record of a session that this request has begun, or tried to: only its answer makes it somebody's. */
  begun: { key: string; ownerKey: string | undefined } | undefined
}

interface Move {
  user: Readonly<SessionUser> | null
  /** Of what the old record holds. */
  keeps(key: string): boolean
  /** Who it is was proved by this request, so it does not matter whether the old session still exists. */
  isProved: boolean
}

export const STATE: unique symbol = Symbol('session state')
const UPDATE_ATTEMPTS = 100

declare module 'fastify' {
  interface FastifyRequest {
    [STATE]: SessionState | null
  }
}

export function openState(policy: SessionPolicy, request: FastifyRequest, reply: FastifyReply): SessionState {
  const shell = request.session
  const { record, head = null } = shell as { record?: string; head?: RecordHead }
  return {
    policy,
    request,
    reply,
    shell,
    head,
    data: openData(record),
    move: undefined,
    failure: undefined,
    isSignedOut: false,
    hasThrown: false,
    isRead: false,
    isAnswering: false,
    isAnswered: false,
    owned: [],
    turn: undefined,
    cameAs: head ? (head.user?.id ?? null) : undefined,
    begun: undefined,
  }
}

export function stateOf(request: FastifyRequest): SessionState {
  const state = request[STATE]
  if (!state) throw new Error('There is no session here: register the session plugin before the route.')
  state.isRead = true
  return state
}

export function userOf({ move, head }: SessionState): Readonly<SessionUser> | null {
  return move ? move.user : (head?.user ?? null)
}

/** How long a record may live from now on: never longer than what is left of its absolute limit, and then not at all. */
function timeLeft({ idleMs }: SessionPolicy, id: string): number {
  return Math.min(idleMs, deadlineOf(id) - Date.now())
}

/** The record of a session that is alive. */
export async function loadRecord(policy: SessionPolicy, id: string): Promise<string | null> {
  const leftMs = timeLeft(policy, id)
  return leftMs > 0 ? policy.store.load(keyOf(id), leftMs) : null
}

/**
 * Another person means another id: whoever knew the old one (session fixation) knows nothing. What an anonymous
 * visitor had goes along; what belonged to another person does not.
 */
export function changeUser(state: SessionState, user: SessionUser | null): void {
  const previous = userOf(state)
  const move = moveOf(state)
  const isAnother = previous !== null && previous.id !== user?.id
  if (isAnother) state.data.live.clear()
  state.move = {
    user: user && Object.freeze(user),
    keeps: isAnother ? () => false : move.keeps,
    isProved: true,
  }
}

/** A new id; of user and data, what is named. */
export function changeId(state: SessionState, keys: readonly string[]): void {
  const { keeps, isProved } = moveOf(state)
  const user = keys.includes('user') ? userOf(state) : null
  for (const key of state.data.live.keys()) if (!keys.includes(key)) state.data.live.delete(key)
  // Without a session there is no id that anybody could know.
  if (state.data.record === undefined && !user) return
  state.move = { user, keeps: (key) => keys.includes(key) && keeps(key), isProved }
}

function moveOf(state: SessionState): Move {
  return state.move ?? { user: userOf(state), keeps: () => true, isProved: false }
}

export function hasChanges({ move, data, failure }: SessionState): boolean {
  return !failure && (move !== undefined || changedLines(data).length > 0)
}

/** Forgets what the request has changed and not stored yet. */
function giveUp(state: SessionState): void {
  discardChanges(state.data)
  state.move = undefined
}

/**
 * Ends what a request began that failed. What it changed is not stored, and a session that it has begun for somebody ends in
 * the store as well: the client never learns its id. A new id for who had come with a session stays, for the old one is dead.
 */
export async function abandonState(state: SessionState): Promise<void> {
  giveUp(state)
  const { begun, policy, request } = state
  if (!begun) return
  Object.assign(state, { begun: undefined, head: null, data: openData() })
  const ended = policy.store.remove(begun.key, begun.ownerKey).catch((error: Error) => {
    request.log.warn({ err: error.cause ?? error }, 'the session of a request that failed could not be ended')
  })
  // A store that has just failed this request is told, and not waited for again.
  if (!state.failure) await ended
}

/** Waits for what the route has asked for. What failed and nobody awaited fails an answer that says all is well. */
export async function finishOwned(state: SessionState): Promise<void> {
  while (state.owned.length > 0) {
    const batch = state.owned
    state.owned = []
    await Promise.all(batch.map(({ ended }) => ended))
    for (const { unseenFailure } of batch) {
      const error = unseenFailure()
      if (error && state.reply.statusCode >= 400) logUnseen(state.request, error)
      else if (error) state.failure ??= error
    }
  }
}

/** Ends the session in the store, now; the request goes on as an anonymous one. @throws SESSION_STORE_UNAVAILABLE */
export function endSession(state: SessionState): Promise<void> {
  return inTurn(state, async () => {
    if (state.data.record !== undefined) await takeRecord(state)
    const shell = state.policy.issueShell(state.request)
    const data = openData()
    Object.assign(state, { shell, head: null, data, move: undefined, begun: undefined, isSignedOut: true })
  })
}

/**
 * Stores what this request changed: only that, and only into a session that still exists.
 *
 * @throws SESSION_GONE, SESSION_STORE_UNAVAILABLE
 */
export function commitState(state: SessionState): Promise<void> {
  return inTurn(state, async () => {
    const { data, move } = state
    const lines = changedLines(data)
    if (!move && lines.length === 0) return
    if (!move && data.record !== undefined) {
      if ((await patchRecord(state, { lines })) !== 'done') throw new SessionGone()
      return rebase(data, applyLines(data.record, lines))
    }
    const kept = move && data.record !== undefined ? await takeKept(state, move) : []
    await createRecord(state, move?.user ?? null, [...kept, ...lines])
  })
}

/** Reads the session again and forgets what this request changed. @throws SESSION_GONE */
export function reloadState(state: SessionState): Promise<void> {
  return inTurn(state, async () => {
    giveUp(state)
    const { policy, shell, data } = state
    if (data.record === undefined) return
    const record = await loadRecord(policy, shell.sessionId)
    state.head = record === null ? null : readHead(record)
    if (record === null || state.head === null) throw new SessionGone()
    data.record = record
  })
}

/** Compare-and-set: `fn` may run again, with the value that another request has stored meanwhile. */
export function updateValue(
  state: SessionState,
  key: string,
  fn: (value: unknown) => unknown,
): Promise<unknown> {
  return noted(state, update(state, key, fn))
}

async function update(state: SessionState, key: string, fn: (value: unknown) => unknown): Promise<unknown> {
  const { data } = state
  const name = nameOf(key)
  for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt += 1) {
    if (state.failure) throw state.failure
    if (data.record === undefined || state.move) {
      // Nobody else knows this session yet: it is stored with the answer.
      const value = await fn(readValue(data, key))
      data.live.set(key, value)
      return value
    }
    const json = findJson(data.record, name)
    const value = await fn(json === '' ? undefined : JSON.parse(json))
    const lines: Line[] = [[name, JSON.stringify(value) ?? '']]
    const result = await patchRecord(state, { lines, expect: [name, json] })
    if (result === 'gone') throw new SessionGone()
    if (result === 'done') data.live.delete(key)
    rebase(data, result === 'done' ? applyLines(data.record, lines) : result.conflict)
    if (result === 'done') return value
    await backOff(attempt)
  }
  throw sessionBusy()
}

function inTurn(state: SessionState, work: () => Promise<void>): Promise<void> {
  const previous = state.turn
  const run = async (): Promise<void> => {
    await previous
    if (state.failure) throw state.failure
    await work()
  }
  const done = run()
  state.turn = done.catch(() => {})
  return noted(state, done)
}

/** After a failure nothing more is stored, and the answer to the request cannot say that all is well. */
function noted<T>(state: SessionState, work: Promise<T>): Promise<T> {
  work.catch((error: Error) => {
    if (error instanceof SessionGone || error instanceof StoreUnavailable) state.failure = error
  })
  return work
}

function patchRecord({ policy, shell }: SessionState, change: Patch): Promise<PatchResult> {
  const leftMs = timeLeft(policy, shell.sessionId)
  if (leftMs <= 0) return Promise.resolve('gone')
  return policy.store.patch(keyOf(shell.sessionId), change, leftMs)
}

function takeRecord({ policy, shell, head }: SessionState): Promise<string | null> {
  return policy.store.remove(keyOf(shell.sessionId), head?.user ? keyOf(head.user.id) : undefined)
}

/** Ends the old id. What others stored into it until that moment comes along. */
async function takeKept(state: SessionState, { keeps, isProved }: Move): Promise<Line[]> {
  const old = await takeRecord(state)
  // Somebody ended the session while this request was under way: a new id must not bring it back.
  if (old === null && !isProved) throw new SessionGone()
  try {
    const keys = Object.keys(readValues(old ?? '')).filter(keeps)
    return keys.map((key) => [nameOf(key), findJson(old!, nameOf(key))])
  } catch {
    return []
  }
}

async function createRecord(state: SessionState, user: SessionUser | null, lines: Line[]): Promise<void> {
  const { policy, request } = state
  const userAgent = user ? (request.headers['user-agent'] ?? '').slice(0, 200) : ''
  const head: RecordHead = { createdAt: Date.now(), user, userAgent }
  const record = applyLines(buildRecord(head), lines)
  const shell = policy.issueShell(request)
  const id = shell.sessionId
  const owner = user ? { key: keyOf(user.id), until: deadlineOf(id) } : undefined
  const key = keyOf(id)
  state.begun = { key, ownerKey: owner?.key }
  const created = await policy.store.create(key, record, timeLeft(policy, id), owner)
  if (created === 'taken') throw storeUnavailable('the id is taken')
  // Somebody ended all sessions of this person meanwhile.
  if (created === 'gone') throw new SessionGone()
  if (owner && created.listed > policy.maxPerUser) {
    const newest = await keepNewest(policy, owner.key)
    if (!newest.some((kept) => kept.key === key)) throw new SessionGone()
  }
  if (state.cameAs === (user?.id ?? null)) state.begun = undefined
  Object.assign(state, { shell, head, move: undefined })
  rebase(state.data, record)
}
