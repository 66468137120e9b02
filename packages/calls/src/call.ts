import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceBusy, ServiceTimeout } from './errors.ts'
import { exchange, ExchangeFailed, isRead, type Answer, type UpstreamRequest } from './exchange.ts'
import { createRetryBudget } from './retry-budget.ts'
import type { Rotation } from './rotation.ts'
import { identify, type TokenIssuer } from './service-token.ts'
import type { UpstreamProcess } from './upstream-process.ts'

/** A call waits no longer than this, unless its caller has less time left. */
const TIMEOUT_MS = 2000
/** What a caller keeps of its own time, so that it can still answer when a call has taken too long. */
const MARGIN_MS = 100
/** How many calls to one service may be under way in one process. More would wait there, and keep memory here. */
const MAX_IN_FLIGHT = 100
const LONGEST_PAUSE_MS = 50
/** Tells a service in how many milliseconds its answer comes too late, by the name that Envoy and service meshes use. */
const TIME_LEFT = 'x-envoy-expected-rq-timeout-ms'

export interface Call {
  method: string
  /** With its query. */
  path: string
  /** Without the credentials and the address of a client: such headers are not sent. */
  headers?: Record<string, string>
  body?: Buffer
  /** For whom, in the token. Default: for the caller itself. */
  userId?: string
  /** Sent again only if the service keeps what it has done under the key: draft-ietf-httpapi-idempotency-key-header. */
  idempotencyKey?: string
}

/** The request or the job that a call is made for. A request of @repo/service is one, and so is the context of a job. */
export interface Work {
  /** By it the log lines of all services are found. */
  readonly id?: string
  readonly trace?: { readonly traceparent: string }
  /** When it must be done: a time of `performance.now()`. */
  readonly deadline?: number
  /** Aborts when nobody waits for it any longer. */
  readonly signal?: AbortSignal
}

/** A service that is called, with what one process remembers of it: which process had the last turn, and how it went. */
export interface Callee {
  /**
   * Sends a call to the process whose turn it is. A read, and a call with an idempotency key, goes to another process when no
   * byte of an answer has come, as far as the retry budget allows; any other call only if it was not sent at all.
   *
   * The service is told how much time it has, the trace and the request id. No header of the client goes along by itself: a
   * person's cookie belongs to the service that it was sent to.
   *
   * @returns whatever the service answers, with any status
   * @throws SERVICE_UNAVAILABLE, SERVICE_BUSY (503), SERVICE_BROKE_OFF (502), SERVICE_TIMEOUT (504)
   */
  send(call: Call, work?: Work): Promise<Answer>
}

/** @param issueToken adds a token to each call, which says who calls and for whom */
export function createCallee(rotation: Rotation, issueToken?: TokenIssuer): Callee {
  const retries = createRetryBudget()
  let inFlight = 0

  async function send(call: Call, work: Work = {}): Promise<Answer> {
    if (inFlight >= MAX_IN_FLIGHT) throw Object.assign(new ServiceBusy(), { headers: { 'retry-after': '1' } })
    const now = performance.now()
    const deadline = Math.min(now + TIMEOUT_MS, (work.deadline ?? Infinity) - MARGIN_MS)
    if (deadline <= now) throw new ServiceTimeout()
    const timeout = AbortSignal.timeout(Math.floor(deadline - now))
    const signal = work.signal ? AbortSignal.any([timeout, work.signal]) : timeout
    inFlight++
    retries.earn()
    try {
      const identified = { ...call, headers: await identify(call, issueToken) }
      return await sendToAny(identified, { ...work, deadline, signal })
    } catch (error) {
      throw timeout.aborted ? new ServiceTimeout() : error
    } finally {
      inFlight--
    }
  }

  async function sendToAny(
    call: Call,
    work: Required<Pick<Work, 'deadline' | 'signal'>> & Work,
  ): Promise<Answer> {
    const { signal } = work
    const tried = new Set<UpstreamProcess>()
    const mayRepeat = isRead(call.method) || call.idempotencyKey !== undefined
    for (;;) {
      const process = await rotation.take(tried)
      try {
        return await exchange(process, toRequest(call, work, process.host), signal)
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

function toRequest(call: Call, { id, trace, deadline }: Work, host: string): UpstreamRequest {
  const leftMs = Math.max(1, Math.floor(deadline! - performance.now()))
  return {
    method: call.method,
    path: call.path,
    headers: {
      ...call.headers,
      // A string of RFC 9651, as the draft demands.
      ...(call.idempotencyKey && { 'idempotency-key': JSON.stringify(call.idempotencyKey) }),
      ...(trace && { traceparent: trace.traceparent }),
      ...(id && { 'x-request-id': id }),
      [TIME_LEFT]: `${leftMs}`,
      host,
    },
    body: call.body ?? null,
  }
}
