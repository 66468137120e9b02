import createError from '@fastify/error'
import type { Static, TObject } from 'typebox'
import { Value } from 'typebox/value'

/** What a job is, without what it does: all that the side that enqueues needs. */
export interface Job<S extends TObject = TObject> {
  readonly name: string
  readonly payload: S
  readonly attempts: number
}

export interface JobOptions<S extends TObject> {
  /** Room first: `orders.settle`. */
  name: string
  /** Checked when a job is enqueued and again when it is handled, which may be a release later. */
  payload: S
  /** `attempts` counts every try, default 10. Try n + 1 waits eⁿ seconds: 3 s, 7 s, 20 s, ... at most 6 hours. */
  retry?: { attempts?: number }
}

export const PayloadInvalid = createError<[job: string, problem: string]>(
  'QUEUE_PAYLOAD_INVALID',
  'The payload of job %s is not what it takes: %s',
  500,
)

export function defineJob<S extends TObject>({ name, payload, retry }: JobOptions<S>): Job<S> {
  return { name, payload, attempts: retry?.attempts ?? 10 }
}

/** @throws QUEUE_PAYLOAD_INVALID, which names the place but never the value: that may be personal. */
export function checkPayload<S extends TObject>(job: Job<S>, payload: unknown): Static<S> {
  if (Value.Check(job.payload, payload)) return payload
  const [first] = Value.Errors(job.payload, payload)
  throw new PayloadInvalid(job.name, `${first?.instancePath || 'it'} ${first?.message ?? 'differs'}`)
}
