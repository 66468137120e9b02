import type { SessionUser } from './record.ts'
import { SessionKeyReserved } from './session-error.ts'
import {
  commitState,
  hasChanges,
  keysOf,
  readKey,
  regenerateState,
  reloadState,
  signOutState,
  updateState,
  writeKey,
  type SessionState,
  type Shell,
} from './session-state.ts'

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

// The interface of @fastify/session, over our state. Its callbacks are kept too: its types promise them.
const methods = {
  get: (state: SessionState, key: string) => readKey(state, key),
  set: (state: SessionState, key: string, value: unknown) => writeKey(state, key, value),
  update: (state: SessionState, key: string, fn: (value: unknown) => unknown) => updateState(state, key, fn),
  isModified: (state: SessionState) => hasChanges(state),
  regenerate(state: SessionState, keys?: string[] | Callback, callback?: Callback) {
    const named = Array.isArray(keys) ? keys : []
    return answer(async () => regenerateState(state, named), typeof keys === 'function' ? keys : callback)
  },
  destroy: (state: SessionState, callback?: Callback) => answer(() => signOutState(state), callback),
  reload: (state: SessionState, callback?: Callback) => answer(() => reloadState(state), callback),
  save: (state: SessionState, callback?: Callback) => answer(() => commitState(state), callback),
}

const OF_THE_SHELL = new Set(['sessionId', 'encryptedSessionId', 'cookie', 'touch', 'options', 'isSaved'])
const isReserved = (key: string): boolean => Object.hasOwn(methods, key) || OF_THE_SHELL.has(key)

/** `request.session`: a property for each key, and the methods of @fastify/session. */
export function viewSession(state: SessionState): Shell {
  return new Proxy(state, handler) as unknown as Shell
}

const handler: ProxyHandler<SessionState> = {
  get(state, key) {
    if (typeof key === 'symbol') return undefined
    if (Object.hasOwn(methods, key)) {
      const method = methods[key as keyof typeof methods] as (...args: unknown[]) => unknown
      return (...args: unknown[]) => method(state, ...args)
    }
    if (!OF_THE_SHELL.has(key)) return readKey(state, key)
    const member = state.shell[key as keyof Shell] as unknown
    return typeof member === 'function' ? member.bind(state.shell) : member
  },
  set(state, key, value) {
    if (typeof key === 'symbol' || isReserved(key)) throw new SessionKeyReserved(String(key))
    writeKey(state, key, value)
    return true
  },
  deleteProperty(state, key) {
    if (typeof key === 'symbol' || isReserved(key)) throw new SessionKeyReserved(String(key))
    writeKey(state, key, undefined)
    return true
  },
  has: (state, key) => typeof key === 'string' && (isReserved(key) || readKey(state, key) !== undefined),
  ownKeys: keysOf,
  getOwnPropertyDescriptor(state, key) {
    const value = typeof key === 'string' ? readKey(state, key) : undefined
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  },
  getPrototypeOf: () => Object.prototype,
  defineProperty: () => false,
}

function answer(work: () => Promise<void>, callback?: Callback): Promise<void> | undefined {
  const done = work()
  if (!callback) return done
  // On the next tick, so that what the callback throws is not taken for a failure of the work.
  done.then(
    () => process.nextTick(callback),
    (error: unknown) => process.nextTick(callback, error),
  )
  return undefined
}
