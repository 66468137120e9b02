import {
  applyLines,
  buildRecord,
  findJson,
  nameOf,
  readHead,
  readValue,
  readValues,
  rebase,
} from './record.ts'
import { changedLines, type Line, type RecordHead } from './record.ts'
import {
  becomeAnonymous,
  dropChanges,
  type Renewal,
  type RequestSession,
  type SessionPolicy,
} from './request-session.ts'
import { deadlineOf, keyOf, newSessionId } from './session-cookie.ts'
import { sessionBusy, SessionGone, storeUnavailable, StoreUnavailable } from './session-error.ts'
import { backOff, keepNewest, type Patch, type PatchResult } from './store.ts'

const UPDATE_ATTEMPTS = 100

/** The time to live of a record: the idle limit, or what is left of the absolute limit. It is 0 or less after that. */
function timeLeft({ idleMs }: SessionPolicy, id: string): number {
  return Math.min(idleMs, deadlineOf(id) - Date.now())
}

/** Loads the record and renews its time to live. Null when the session has ended. */
export async function loadRecord(policy: SessionPolicy, id: string): Promise<string | null> {
  const leftMs = timeLeft(policy, id)
  return leftMs > 0 ? policy.store.load(keyOf(id), leftMs) : null
}

/**
 * For a request that failed: drops its changes, and ends a session that it has created, because the client never learns its
 * id. A new id for the user whose session came with the request stays, because the old id has ended.
 */
export async function abandonSession(session: RequestSession): Promise<void> {
  dropChanges(session)
  const { begun, policy, request } = session
  if (!begun) return
  becomeAnonymous(session)
  const ended = policy.store.remove(begun.key, begun.ownerKey).catch((error: Error) => {
    request.log.warn({ err: error.cause ?? error }, 'the session of a request that failed could not be ended')
  })
  // If the store has failed this request, the command is sent, but the answer does not wait for it.
  if (!session.failure) await ended
}

/** Ends the session in the store at once. The request continues as anonymous. @throws SESSION_STORE_UNAVAILABLE */
export function destroySession(session: RequestSession): Promise<void> {
  return inTurn(session, async () => {
    if (session.copy.text !== undefined) await takeRecord(session)
    becomeAnonymous(session)
    session.isSignedOut = true
  })
}

/**
 * Stores only the changes of this request, and only into a session that still exists.
 *
 * @throws SESSION_GONE, SESSION_STORE_UNAVAILABLE
 */
export function saveSession(session: RequestSession): Promise<void> {
  return inTurn(session, async () => {
    const { copy, renewal } = session
    const lines = changedLines(copy)
    if (!renewal && lines.length === 0) return
    if (!renewal && copy.text !== undefined) {
      if ((await patchRecord(session, { lines })) !== 'done') throw new SessionGone()
      return rebase(copy, applyLines(copy.text, lines))
    }
    const kept = renewal && copy.text !== undefined ? await takeKept(session, renewal) : []
    await createRecord(session, renewal, [...kept, ...lines])
  })
}

/** Loads the session again and drops the changes of this request. @throws SESSION_GONE */
export function reloadSession(session: RequestSession): Promise<void> {
  return inTurn(session, async () => {
    dropChanges(session)
    const { policy, id, copy } = session
    if (copy.text === undefined) return
    const record = await loadRecord(policy, id)
    session.head = record === null ? null : readHead(record)
    if (record === null || session.head === null) throw new SessionGone()
    copy.text = record
  })
}

/** Compare-and-set: `fn` runs again, with the stored value, when another request has changed it. */
export function updateSession(
  session: RequestSession,
  key: string,
  fn: (value: unknown) => unknown,
): Promise<unknown> {
  return noted(session, update(session, key, fn))
}

async function update(
  session: RequestSession,
  key: string,
  fn: (value: unknown) => unknown,
): Promise<unknown> {
  const { copy } = session
  const name = nameOf(key)
  for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt += 1) {
    if (session.failure) throw session.failure
    if (copy.text === undefined || session.renewal) {
      // No other request knows this session's id yet. It is stored with the answer.
      const value = await fn(readValue(copy, key))
      copy.live.set(key, value)
      return value
    }
    const json = findJson(copy.text, name)
    const value = await fn(json === '' ? undefined : JSON.parse(json))
    const lines: Line[] = [[name, JSON.stringify(value) ?? '']]
    const result = await patchRecord(session, { lines, expect: [name, json] })
    if (result === 'gone') throw new SessionGone()
    if (result === 'done') copy.live.delete(key)
    rebase(copy, result === 'done' ? applyLines(copy.text, lines) : result.conflict)
    if (result === 'done') return value
    await backOff(attempt)
  }
  throw sessionBusy()
}

function inTurn(session: RequestSession, work: () => Promise<void>): Promise<void> {
  const previous = session.turn
  const run = async (): Promise<void> => {
    await previous
    if (session.failure) throw session.failure
    await work()
  }
  const done = run()
  session.turn = done.catch(() => {})
  return noted(session, done)
}

/** After such a failure nothing more of the request is stored, and its answer is an error. */
function noted<T>(session: RequestSession, work: Promise<T>): Promise<T> {
  work.catch((error: Error) => {
    if (error instanceof SessionGone || error instanceof StoreUnavailable) session.failure = error
  })
  return work
}

function patchRecord({ policy, id }: RequestSession, change: Patch): Promise<PatchResult> {
  const leftMs = timeLeft(policy, id)
  // Not a number for a session that this request has ended meanwhile.
  if (!(leftMs > 0)) return Promise.resolve('gone')
  return policy.store.patch(keyOf(id), change, leftMs)
}

function takeRecord({ policy, id, head }: RequestSession): Promise<string | null> {
  return policy.store.remove(keyOf(id), head?.user ? keyOf(head.user.id) : undefined)
}

/** Ends the old id. Returns the lines to keep, including those that other requests have stored until then. */
async function takeKept(session: RequestSession, { keeps, isProved }: Renewal): Promise<Line[]> {
  const old = await takeRecord(session)
  // Another request ended the session during this one. A new id must not revive it.
  if (old === null && !isProved) throw new SessionGone()
  try {
    const keys = Object.keys(readValues(old ?? '')).filter(keeps)
    return keys.map((key) => [nameOf(key), findJson(old!, nameOf(key))])
  } catch {
    return []
  }
}

async function createRecord(
  session: RequestSession,
  { user, isProved }: Pick<Renewal, 'user' | 'isProved'> = { user: null, isProved: false },
  lines: Line[],
): Promise<void> {
  const { policy, request } = session
  const userAgent = user ? (request.headers['user-agent'] ?? '').slice(0, 200) : ''
  const createdAt = Date.now()
  const provedAt = isProved ? createdAt : (session.head?.provedAt ?? 0)
  const head: RecordHead = { createdAt, user, userAgent, provedAt }
  const record = applyLines(buildRecord(head), lines)
  const id = newSessionId(policy.absoluteMs)
  const owner = user ? { key: keyOf(user.id), until: deadlineOf(id) } : undefined
  const key = keyOf(id)
  session.begun = { key, ownerKey: owner?.key }
  const created = await policy.store.create(key, record, timeLeft(policy, id), owner)
  if (created === 'taken') throw storeUnavailable('the id is taken')
  // All sessions of this user were ended meanwhile.
  if (created === 'gone') throw new SessionGone()
  if (owner && created.listed > policy.maxPerUser) {
    const newest = await keepNewest(policy.store, owner.key, policy)
    if (!newest.some((kept) => kept.key === key)) throw new SessionGone()
  }
  if (session.cameAs === (user?.id ?? null)) session.begun = undefined
  Object.assign(session, { id, head, renewal: undefined, isCookieDue: true })
  rebase(session.copy, record)
}
