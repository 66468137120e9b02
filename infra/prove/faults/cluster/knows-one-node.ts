import { plant } from '../plant.ts'

// A client of Redis Cluster that never asks which node holds a key.
plant(
  'packages/session/src/stores/redis.ts',
  'makers[kind]()',
  "makers[kind === 'cluster' ? 'alone' : kind]()",
)
