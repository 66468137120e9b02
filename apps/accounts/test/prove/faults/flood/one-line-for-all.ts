import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// Everybody waits in one line for a password to be hashed: whoever fills it keeps all others out.
plant('apps/accounts/src/domain/password-hasher.ts', 'flow: `${kind} ${network}`', "flow: 'everybody'")
