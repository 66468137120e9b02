import { plant } from '../plant.ts'

// Sign-ins that nobody counts.
plant(
  'packages/session/src/session-state.ts',
  'if (owner && created.listed > policy.maxPerUser) {',
  'if (false) {',
)
