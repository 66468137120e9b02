import { plant } from '../plant.ts'

// Sign-ins without a limit on the sessions of one user.
plant(
  'packages/session/src/save-session.ts',
  'if (owner && created.listed > policy.maxPerUser) {',
  'if (false) {',
)
