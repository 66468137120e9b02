import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A sign-up that anybody may ask for as often as they like.
plant('apps/accounts/src/routes/accounts.ts', ', limit: SIGN_UP_LIMIT', '')
