import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceBusy, ServiceTimeout, ServiceUnavailable } from './errors.ts'
import { exchange, ExchangeFailed, isRead, type Answer, type UpstreamRequest } from './exchange.ts'
import { createRetryBudget } from './retry-budget.ts'
import type { Rotation } from './rotation.ts'
import type { UpstreamProcess } from './upstream-process.ts'

/** A call waits no longer than this, unless its caller has less time left. */
const TIMEOUT_MS = 2000
/** What a caller keeps of its own time, so that it can still answer when a call has taken too long. */
const MARGIN_MS = 100
/** How many calls to one service may be under way in one process. More would wait there, and keep memory here. */
const MAX_IN_FLIGHT = 100
const LONGEST_PAUSE_MS = 50

export interface Call {
  method: string
  /** With its query. */
  path: string
  headers?: Record<string, string>
  body?: Buffer
  /** Sent again only if the service keeps what it has done under the key: draft-ietf-httpapi-idempotency-key-header. */
  idempotencyKey?: string
  /** When the caller itself must have answered: a time of `performance.now()`. */
  deadline?: number
  signal?: AbortSignal
}

/** A service that is called, with what one process remembers of it: which process had the last turn, and how it went. */
export interface Callee {
  /**
   * Sends a call to the process whose turn it is. A read, and a call with an idempotency key, goes to another process when no
   * byte of an answer has come, as far as the retry budget allows; any other call only if it was not sent at all.
   *
   * @returns whatever the service answers, with any status
   * @throws SERVICE_UNAVAILABLE, SERVICE_BUSY (503), SERVICE_BROKE_OFF (502), SERVICE_TIMEOUT (504)
   */
  send(call: Call): Promise<Answer>
}

export function createCallee(rotation: Rotation): Callee {
  const retries = createRetryBudget()
  let inFlight = 0

  async function send(call: Call): Promise<Answer> {
    if (inFlight >= MAX_IN_FLIGHT) throw withRetryAfter(new ServiceBusy())
    const ownMs = (call.deadline ?? Infinity) - performance.now()
    const leftMs = Math.floor(Math.min(TIMEOUT_MS, ownMs - MARGIN_MS))
    if (leftMs <= 0) throw new ServiceTimeout()
    const timeout = AbortSignal.timeout(leftMs)
    const signal = call.signal ? AbortSignal.any([timeout, call.signal]) : timeout
    inFlight++
    retries.earn()
    try {
      return await sendToAny(call, signal)
    } catch (error) {
      throw timeout.aborted ? new ServiceTimeout() : error
    } finally {
      inFlight--
    }
  }

  async function sendToAny(call: Call, signal: AbortSignal): Promise<Answer> {
    const tried = new Set<UpstreamProcess>()
    const mayRepeat = isRead(call.method) || call.idempotencyKey !== undefined
    for (;;) {
      let process = rotation.next(tried)
      if (!process) {
        await rotation.lookAgain()
        process = rotation.next(tried)
      }
      if (!process) throw withRetryAfter(new ServiceUnavailable())
      tried.add(process)
      try {
        return await exchange(process, toRequest(call, process.host), signal)
      } catch (error) {
        if (!(error instanceof ExchangeFailed) || signal.aborted) throw error
        // The next probe says whether the process is there again.
        process.health = error.isSent ? 'late' : 'gone'
        if (error.isSent && (!mayRepeat || !retries.spend())) throw error.toAnswer()
        if (error.isSent) await sleep(Math.random() * LONGEST_PAUSE_MS, undefined, { signal })
      }
    }
  }

  return { send }
}

function toRequest({ method, path, headers, body, idempotencyKey }: Call, host: string): UpstreamRequest {
  return {
    method,
    path,
    headers: { ...headers, ...(idempotencyKey && { 'idempotency-key': idempotencyKey }), host },
    body: body ?? null,
  }
}

function withRetryAfter(error: Error): Error {
  return Object.assign(error, { headers: { 'retry-after': '1' } })
}
