import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// Guesses that each process counts for itself: two processes allow twice as many.
plant('apps/accounts/src/domain/limit-guesses.ts', '${kind}:${hash(', '${kind}:${process.pid}:${hash(')
