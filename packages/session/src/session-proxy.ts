import type { FastifyRequest } from 'fastify'
import { keysOf, readValue, type SessionUser } from './record.ts'
import { changeId, changeUser, hasChanges, ownWork, userOf, type RequestSession } from './request-session.ts'
import { destroySession, reloadSession, saveSession, updateSession } from './save-session.ts'
import { SessionKeyReserved } from './session-error.ts'

declare module 'fastify' {
  /** The keys that a service stores in a session: `declare module 'fastify' { interface Session { cart?: string[] } }`. */
  interface Session {
    /** The user who is signed in. An assignment moves the session to a new id, as `signIn` does. */
    user?: Readonly<SessionUser>
    /**
     * Stores a new value for one key at once, by compare-and-set, and resolves to it. `fn` gets the stored value. It runs
     * again when another request has changed the key.
     *
     * @throws SESSION_GONE when the session has ended
     */
    update<K extends keyof Session & string>(
      key: K,
      fn: (value: Session[K] | undefined) => Session[K] | undefined | Promise<Session[K] | undefined>,
    ): Promise<Session[K] | undefined>
  }
}

const methods = {
  get: readKey,
  set: writeKey,
  update: (session: RequestSession, key: string, fn: (value: unknown) => unknown): Promise<unknown> =>
    ownWork(session.request, updateSession(session, key, fn)),
  isModified: hasChanges,
  save: owned(saveSession),
  reload: owned(reloadSession),
  destroy: owned(destroySession),
  regenerate: owned(async (session: RequestSession, keys: string[] = []) => changeId(session, keys)),
}

/** `request.session`: a property for each key, and the methods of @fastify/session. */
export function proxySession(session: RequestSession): FastifyRequest['session'] {
  return new Proxy(session, handler) as unknown as FastifyRequest['session']
}

const handler: ProxyHandler<RequestSession> = {
  get(session, key) {
    if (typeof key === 'symbol') return undefined
    session.isRead = true
    if (key === 'sessionId') return session.id
    if (key === 'encryptedSessionId') return session.policy.sign(session.id)
    if (!isMethod(key)) return readKey(session, key)
    return (methods[key] as (session: RequestSession, ...args: unknown[]) => unknown).bind(undefined, session)
  },
  set(session, key, value) {
    if (typeof key === 'symbol' || isReserved(key)) throw new SessionKeyReserved(String(key))
    writeKey(session, key, value)
    return true
  },
  deleteProperty: (session, key) => handler.set!(session, key, undefined, undefined),
  has: (session, key) => typeof key === 'string' && (isReserved(key) || readKey(session, key) !== undefined),
  ownKeys(session) {
    session.isRead = true
    return [...keysOf(session.copy), ...(userOf(session) ? ['user'] : [])]
  },
  getOwnPropertyDescriptor(session, key) {
    const value = readKey(session, String(key))
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  },
}

function readKey(session: RequestSession, key: string): unknown {
  session.isRead = true
  return key === 'user' ? (userOf(session) ?? undefined) : readValue(session.copy, key)
}

function writeKey(session: RequestSession, key: string, value: unknown): void {
  if (session.failure) throw session.failure
  if (key === 'user') changeUser(session, (value as SessionUser | undefined) ?? null)
  else session.copy.live.set(key, value)
}

function isMethod(key: string): key is keyof typeof methods {
  return Object.hasOwn(methods, key)
}

function isReserved(key: string): boolean {
  return isMethod(key) || key === 'sessionId' || key === 'encryptedSessionId'
}

function owned<T extends unknown[]>(work: (session: RequestSession, ...args: T) => Promise<void>) {
  return (session: RequestSession, ...args: T): Promise<void> => {
    const callback = args.find((arg) => typeof arg === 'function')
    return ownWork(
      session.request,
      callback ? refuse(session, callback as (error: Error) => void) : work(session, ...args),
    )
  }
}

/**
 * The types of @fastify/session also offer a callback. It gets the error, because code that waits for it would never answer. An error
 * that is thrown here could end the process: such code often runs in a callback of its own.
 */
async function refuse(session: RequestSession, callback: (error: Error) => void): Promise<void> {
  session.failure ??= new TypeError('A method of the session returns a promise and takes no callback.')
  process.nextTick(callback, session.failure)
  throw session.failure
}
