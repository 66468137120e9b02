export {
  IdempotencyKeyInUse,
  IdempotencyKeyInvalid,
  IdempotencyKeyMissing,
  IdempotencyKeyReused,
} from './idempotency-error.ts'
export { answerOnce, idempotency, type IdempotencyOptions } from './idempotency.ts'
export type { RawQueries } from './stored-answer.ts'
