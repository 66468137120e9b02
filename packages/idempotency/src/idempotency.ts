import { hash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import {
  IdempotencyInvalid,
  IdempotencyKeyInUse,
  IdempotencyKeyInvalid,
  IdempotencyKeyMissing,
  IdempotencyKeyReused,
  IdempotencyMisused,
} from './idempotency-error.ts'
import { findAnswer, holdKey, storeAnswer, type RawQueries, type StoredAnswer } from './stored-answer.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A client may repeat a request to this route with the same Idempotency-Key. `required`: it must send one. */
    idempotency?: true | { required: true }
  }
  interface FastifyRequest {
    /** For `answerOnce`. Null on other routes. */
    idempotency: Attempt | null
  }
}

export interface IdempotencyOptions {
  /**
   * Who sends a request: `user:7`, `service:orders`, `network:192.0.2.1`. A stored answer is given to its owner alone, so two
   * clients must never be the same owner.
   */
  ownerOf: (request: FastifyRequest) => string
  /** How long an answer is kept. Default 24 hours. */
  expireAfterMs?: number
  /** Of the body of an answer that is kept. Default 64 KiB. */
  maxBytes?: number
}

interface Attempt extends Required<IdempotencyOptions> {
  /** As in the header; undefined without one. */
  key: string | undefined
  stage: 'ready' | 'in the transaction' | 'committed'
}

/** A string of structured fields (RFC 9651, 3.3.3). Several headers arrive as one, with a comma between them. */
const KEY = /^"(?:[ !#-[\]-~]|\\["\\]){1,255}"$/

/** Answers which say that the same request may succeed later. */
const PASSING = new Set([408, 425, 429])

async function idempotencyPlugin(
  app: FastifyInstance,
  { ownerOf, expireAfterMs = 24 * 60 * 60_000, maxBytes = 65_536 }: IdempotencyOptions,
): Promise<void> {
  app.decorateRequest('idempotency', null)

  app.addHook('onRoute', (route) => {
    if (!route.config?.idempotency) return
    const problem = findProblem(route)
    if (problem) throw new IdempotencyInvalid(String(route.method), route.url, problem)
    // After the hooks of the app, so after the session, and before the body is read.
    route.onRequest = [route.onRequest ?? [], readKey].flat()
    route.onSend = [route.onSend ?? [], refuseUncommitted].flat()
  })

  async function readKey(request: FastifyRequest): Promise<void> {
    const key = request.headers['idempotency-key'] as string | undefined
    if (key === undefined && request.routeOptions.config.idempotency !== true)
      throw new IdempotencyKeyMissing()
    if (key !== undefined && !KEY.test(key)) throw new IdempotencyKeyInvalid()
    request.idempotency = { key, stage: 'ready', ownerOf, expireAfterMs, maxBytes }
  }
}

function findProblem({ method, config }: RouteOptions): string | undefined {
  const isUnsafe = [method].flat().every((name) => name === 'POST' || name === 'PATCH')
  if (!isUnsafe) return 'is for POST and PATCH; other methods can be repeated anyway'
  const { idempotency } = config as { idempotency: unknown }
  const { required } = Object(idempotency) as { required?: unknown }
  return idempotency === true || required === true ? undefined : 'is true or { required: true }'
}

/** Without this, a handler that forgets `answerOnce`, or to wait for it, would seem to work until a request is repeated. */
async function refuseUncommitted(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const stage = request.idempotency?.stage
  const isRefusal = stage !== 'in the transaction' && reply.statusCode >= 400
  if (stage && stage !== 'committed' && !isRefusal)
    throw misused(request, 'it was answered before the transaction of answerOnce was committed')
}

/**
 * Answers a request with what `work` returns, after all that it has written in the transaction is committed. With an
 * Idempotency-Key, the answer is stored in the same transaction, and a repetition gets it instead: there is one effect,
 * whichever process dies at whatever moment. Return its result from the handler.
 *
 * The answer is the status and the headers that `work` sets, and the object or text that it returns. What it throws rolls back
 * the transaction and is not stored, so a repetition runs anew.
 *
 * @param database Prisma's client of the service, whose tables include `idempotency_keys`
 * @throws IDEMPOTENCY_KEY_IN_USE with `retry-after`, IDEMPOTENCY_KEY_REUSED; IDEMPOTENCY_MISUSED
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07
 */
export async function answerOnce<Tx extends RawQueries, Answer>(
  reply: FastifyReply,
  database: { $transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> },
  work: (tx: Tx) => Promise<Answer>,
): Promise<Answer> {
  const { request } = reply
  const attempt = request.idempotency
  if (!attempt) throw misused(request, 'answerOnce is for routes with config.idempotency')
  const { key, ownerOf, expireAfterMs } = attempt
  attempt.stage = 'in the transaction'
  try {
    if (key === undefined) {
      const answer = await database.$transaction(work)
      attempt.stage = 'committed'
      return answer
    }
    // Digests: keys and owners are not stored. The key is in both, so the fingerprint of a password cannot be guessed from it.
    const id = digest([ownerOf(request), request.method, request.routeOptions.url, key])
    const fingerprint = fingerprintOf(request, key)
    const { status, headers, body } = await database.$transaction(async (tx) => {
      if (!(await holdKey(tx, id))) throw inUse()
      const found = await findAnswer(tx, id)
      if (found && found.fingerprint !== fingerprint) throw new IdempotencyKeyReused()
      if (found) return { ...found, headers: { ...found.headers, 'idempotent-replayed': 'true' } }
      const before = reply.getHeaders()
      const made = describeAnswer(reply, before, await work(tx), attempt.maxBytes)
      if (!(await storeAnswer(tx, id, { fingerprint, ...made }, expireAfterMs))) throw inUse()
      return made
    })
    attempt.stage = 'committed'
    // The same bytes each time, past the response schema.
    void reply.code(status).headers(headers)
    return reply.send(body === null ? undefined : Buffer.from(body)) as Answer
  } finally {
    if (attempt.stage === 'in the transaction') attempt.stage = 'ready'
  }
}

/** What `work` has answered. Cookies are left out: they are of one browser, and secret. */
function describeAnswer(
  reply: FastifyReply,
  before: ReturnType<FastifyReply['getHeaders']>,
  answer: unknown,
  maxBytes: number,
): Omit<StoredAnswer, 'fingerprint'> {
  const { request, statusCode: status } = reply
  if (answer === reply || answer instanceof Uint8Array || answer instanceof Readable)
    throw misused(request, 'the work of answerOnce returns an object or a text')
  if (status >= 500 || PASSING.has(status))
    throw misused(request, `an answer ${status} is not final: the work of answerOnce throws it`)
  const body = answer == null ? null : typeof answer === 'string' ? answer : reply.serialize(answer)
  if (Buffer.byteLength((body as string | null) ?? '') > maxBytes)
    throw misused(request, `its answer is longer than the ${maxBytes} bytes that are kept: answer with less`)
  if (body !== null && !reply.hasHeader('content-type'))
    void reply.type(`${typeof answer === 'string' ? 'text/plain' : 'application/json'}; charset=utf-8`)
  const set = Object.entries(reply.getHeaders()).filter(
    ([name, value]) => name !== 'set-cookie' && value !== before[name],
  )
  return { status, headers: Object.fromEntries(set) as StoredAnswer['headers'], body: body as string | null }
}

function fingerprintOf(request: FastifyRequest, key: string): string {
  const { url, body, headers } = request
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (body === undefined ? hasBody : body instanceof Readable)
    throw misused(request, 'its body must be read before the handler, so that another one can be recognized')
  return digest([key, url, body])
}

function digest(values: unknown[]): string {
  return hash('sha256', JSON.stringify(values), 'base64url')
}

function inUse(): Error {
  return Object.assign(new IdempotencyKeyInUse(), { headers: { 'retry-after': '1' } })
}

function misused({ method, routeOptions }: FastifyRequest, problem: string): Error {
  return new IdempotencyMisused(method, String(routeOptions.url), problem)
}

/** Lets clients repeat requests to the routes with `config.idempotency` that are added after it. Their handlers use `answerOnce`. */
export const idempotency = fp(idempotencyPlugin, { name: 'idempotency', fastify: '5.x' })
