import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A sign-up without a limit.
plant('apps/accounts/src/routes/accounts.ts', ', limit: SIGN_UP_LIMIT', '')
