import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// All networks share one queue for password hashes: a network that fills it keeps all others out.
plant('apps/accounts/src/domain/password-hasher.ts', 'flow: `${kind} ${network}`', "flow: 'everybody'")
