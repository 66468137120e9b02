import type { FastifyInstance, FastifyRequest } from 'fastify'
import { STATE } from './session-state.ts'

/** What a route asked of its sessions, and what the request still has to know of it. */
export interface OwnedWork {
  readonly ended: Promise<void>
  /** How it failed, unless somebody awaited it. */
  unseenFailure(): Error | undefined
}

/** A promise that knows whether anybody asks how it ends. */
class Owned<T> extends Promise<T> {
  isAwaited = false

  // What is derived from it is an ordinary promise.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a promise is one
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isAwaited = true
    return super.then(onFulfilled, onRejected)
  }
}

/**
 * Work on sessions belongs to the request that asked for it, whether or not its route awaits it: the answer waits for the
 * work, and a failure that nobody awaited becomes the answer. Without an answer to decide (it is on its way, or an app
 * asked and not a request) such a failure is logged. It never is an unhandled rejection: with a store that is away, one
 * forgotten `await` would end the process.
 */
export function ownWork<T>(owner: FastifyRequest | FastifyInstance, work: Promise<T>): Promise<T> {
  const state = 'raw' in owner ? owner[STATE] : null
  const owned = new Owned<T>((resolve) => resolve(work))
  let failure: Error | undefined

  function fail(error: Error): void {
    failure = error
    if (!owned.isAwaited && (!state || state.isAnswered || state.reply.sent)) logUnseen(owner, error)
  }
  // Not `owned.then`, which would count as somebody who awaits it.
  Promise.prototype.then.call(owned, undefined, () => {})
  const ended = work.then(() => {}, fail)
  state?.owned.push({ ended, unseenFailure: () => (owned.isAwaited ? undefined : failure) })
  return owned
}

export function logUnseen({ log }: FastifyRequest | FastifyInstance, error: Error): void {
  log.error({ err: error.cause ?? error }, 'work on a session failed, and nobody awaited it')
}
