import type { SessionUser } from './record.ts'
import { ownWork } from './owned-work.ts'
import { SessionKeyReserved } from './session-error.ts'
import { keysOf, readValue } from './session-data.ts'
import { changeId, changeUser, commitState, endSession, hasChanges, reloadState } from './session-state.ts'
import { updateValue, userOf, type SessionState, type Shell } from './session-state.ts'

declare module 'fastify' {
  /** What a service keeps in a session: `declare module 'fastify' { interface Session { cart?: string[] } }`. */
  interface Session {
    /** Who is signed in. To assign it moves the session to a new id, as `signIn` does. */
    user?: Readonly<SessionUser>
    /**
     * Changes one key at once, safely against other requests: a compare-and-set. `fn` gets the stored value and may
     * run several times.
     *
     * @throws SESSION_GONE when the session ended meanwhile
     */
    update<K extends keyof Session & string>(
      key: K,
      fn: (value: Session[K] | undefined) => Session[K] | undefined | Promise<Session[K] | undefined>,
    ): Promise<Session[K] | undefined>
  }
}

type Callback = (error?: unknown) => void

// The interface of @fastify/session over our state, its callbacks included: its types promise them.
const methods = {
  get: readKey,
  set: writeKey,
  update: (state: SessionState, key: string, fn: (value: unknown) => unknown): Promise<unknown> =>
    ownWork(state.request, updateValue(state, key, fn)),
  isModified: hasChanges,
  save: withCallback(commitState),
  reload: withCallback(reloadState),
  destroy: withCallback(endSession),
  regenerate: withCallback(async (state, keys: string[] = []) => changeId(state, keys)),
}

/** `request.session`: a property for each key, and the methods of @fastify/session. */
export function viewSession(state: SessionState): Shell {
  return new Proxy(state, handler) as unknown as Shell
}

const handler: ProxyHandler<SessionState> = {
  get(state, key) {
    if (typeof key === 'symbol') return undefined
    state.isRead = true
    if (key === 'sessionId' || key === 'encryptedSessionId') return state.shell[key]
    if (!isMethod(key)) return readKey(state, key)
    return (methods[key] as (state: SessionState, ...args: unknown[]) => unknown).bind(undefined, state)
  },
  set(state, key, value) {
    if (typeof key === 'symbol' || isReserved(key)) throw new SessionKeyReserved(String(key))
    writeKey(state, key, value)
    return true
  },
  deleteProperty: (state, key) => handler.set!(state, key, undefined, undefined),
  has: (state, key) => typeof key === 'string' && (isReserved(key) || readKey(state, key) !== undefined),
  ownKeys(state) {
    state.isRead = true
    return [...keysOf(state.data), ...(userOf(state) ? ['user'] : [])]
  },
  getOwnPropertyDescriptor(state, key) {
    const value = readKey(state, String(key))
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  },
}

function readKey(state: SessionState, key: string): unknown {
  state.isRead = true
  return key === 'user' ? (userOf(state) ?? undefined) : readValue(state.data, key)
}

function writeKey(state: SessionState, key: string, value: unknown): void {
  if (state.failure) throw state.failure
  if (key === 'user') changeUser(state, (value as SessionUser | undefined) ?? null)
  else state.data.live.set(key, value)
}

function isMethod(key: string): key is keyof typeof methods {
  return Object.hasOwn(methods, key)
}

function isReserved(key: string): boolean {
  return isMethod(key) || key === 'sessionId' || key === 'encryptedSessionId'
}

function withCallback<T extends unknown[]>(work: (state: SessionState, ...args: T) => Promise<void>) {
  return (state: SessionState, ...args: [...T, Callback?]): Promise<void> | undefined => {
    const callback = typeof args.at(-1) === 'function' ? (args.pop() as Callback) : undefined
    const done = ownWork(state.request, work(state, ...(args as unknown as T)))
    if (!callback) return done
    // On the next tick, so that what the callback throws is not taken for a failure of the work.
    done.then(
      () => process.nextTick(callback),
      (error: unknown) => process.nextTick(callback, error),
    )
    return undefined
  }
}
