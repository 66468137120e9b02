import createError from '@fastify/error'
import type { Static, TObject } from 'typebox'
import { Value } from 'typebox/value'

/** A job's name and payload, without its handler: all that code needs to enqueue it. */
export interface Job<S extends TObject = TObject> {
  readonly name: string
  readonly payload: S
  readonly attempts: number
}

export interface JobOptions<S extends TObject> {
  /** The app first: `orders.settle`. */
  name: string
  /** Checked when a job is enqueued, and again when it is handled: that may be by a newer release. */
  payload: S
  /** `attempts` counts every try, default 10. Try n + 1 waits eⁿ seconds: 3 s, 7 s, 20 s, ... at most 6 hours. */
  retry?: { attempts?: number }
}

/** The payload of a job does not match its schema. */
export const PayloadInvalid = createError<[job: string, problem: string]>(
  'QUEUE_PAYLOAD_INVALID',
  'The payload of job %s is not what it takes: %s',
  500,
)

/** A job that can be enqueued, and given a handler with `handle`. */
export function defineJob<S extends TObject>({ name, payload, retry }: JobOptions<S>): Job<S> {
  return { name, payload, attempts: retry?.attempts ?? 10 }
}

/**
 * The payload, once it is known to be what the job takes.
 *
 * @throws QUEUE_PAYLOAD_INVALID, which names the place but never the value: that may be personal
 */
export function checkPayload<S extends TObject>(job: Job<S>, payload: unknown): Static<S> {
  if (Value.Check(job.payload, payload)) return payload
  const [first] = Value.Errors(job.payload, payload)
  throw new PayloadInvalid(job.name, `${first?.instancePath || 'it'} ${first?.message ?? 'differs'}`)
}

/** What the queue needs of a Prisma client, or of a transaction of one. */
export interface RawQueries {
  $queryRawUnsafe<T>(sql: string, ...values: unknown[]): Promise<T>
}

export interface EnqueueOptions {
  /** The job starts no earlier than this. Default 0. */
  delayMs?: number
  /** A key, as the id of a user: of the jobs with the same name and key, one runs at a time, in all workers together. */
  oneAtATime?: string
  /** The trace of the request that the job follows from, which the job then continues. */
  trace?: Trace
}

/** By its trace id, the log lines of all processes that had to do with one request are found. */
export interface Trace {
  /** @see https://www.w3.org/TR/trace-context/ */
  readonly traceparent: string
}

/** The trace is kept as a flag of the job, beside the payload, whose schema is the app's. */
const TRACE = 'traceparent='

/** The trace that a job was enqueued with. */
export function traceOf(flags: Readonly<Record<string, unknown>> | null): Trace | undefined {
  const flag = Object.keys(flags ?? {}).find((name) => name.startsWith(TRACE))
  return flag === undefined ? undefined : { traceparent: flag.slice(TRACE.length) }
}

/**
 * Creates a job in the caller's transaction: the job exists if and only if the transaction commits. A worker that has nothing to do
 * starts it within milliseconds.
 *
 * @throws QUEUE_PAYLOAD_INVALID
 */
export async function enqueue<S extends TObject>(
  tx: RawQueries,
  job: Job<S>,
  payload: Static<S>,
  { delayMs = 0, oneAtATime, trace }: EnqueueOptions = {},
): Promise<{ id: string }> {
  const [row] = await tx.$queryRawUnsafe<[{ id: string }]>(
    `SELECT id::text FROM (
       SELECT CASE WHEN $5::text IS NOT NULL THEN $5 || pg_advisory_xact_lock_shared(hashtext('queue.queues'))::text END AS name
     ) AS queue, LATERAL add_job(
       $1, $2::json, max_attempts => $3::int, run_at => now() + $4::float8 * interval '1 millisecond',
       queue_name => queue.name, flags => $6::text[])`,
    job.name,
    JSON.stringify(checkPayload(job, payload)),
    job.attempts,
    delayMs,
    oneAtATime === undefined ? null : `${job.name} ${oneAtATime}`,
    trace ? [TRACE + trace.traceparent] : null,
  )
  return row
}
