import { plant } from '../plant.ts'

// Sign-ins that nobody counts.
plant(
  'packages/session/src/save-session.ts',
  'if (owner && created.listed > policy.maxPerUser) {',
  'if (false) {',
)
