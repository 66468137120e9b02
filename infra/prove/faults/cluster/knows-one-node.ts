import { plant } from '../plant.ts'

// A client that never asks who holds the keys now.
plant(
  'packages/session/src/stores/redis.ts',
  'const client = kind ? makers[kind]!() : new Redis({',
  "const client = kind === 'sentinel' ? makers[kind]!() : new Redis({",
)
