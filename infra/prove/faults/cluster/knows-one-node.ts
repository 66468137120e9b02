import { plant } from '../plant.ts'

// A client that never asks who holds the keys now.
plant(
  'packages/session/src/stores/redis.ts',
  'makers[kind]()',
  "makers[kind === 'cluster' ? 'alone' : kind]()",
)
