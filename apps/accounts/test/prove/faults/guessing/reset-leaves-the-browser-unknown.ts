import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A reset without a device cookie: the owner has a new password, and cannot sign in with it.
plant(
  'apps/accounts/src/routes/mailed-links.ts',
  'reply.setCookie(devices.name, device, devices.attributes)',
  '',
)
