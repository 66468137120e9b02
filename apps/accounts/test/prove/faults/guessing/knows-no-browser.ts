import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A sign-in that ignores the device cookie: strangers lock the owner out.
plant(
  'apps/accounts/src/domain/accounts.ts',
  'known ? { device: known } : { network, email }',
  '{ network, email }',
)
