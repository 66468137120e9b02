import { plant } from '../../../../../../infra/prove/faults/plant.ts'

const FILE = 'apps/accounts/src/domain/limit-guesses.ts'

// At the limit only wrong passwords are refused, so a guesser recognizes the right one.
plant(FILE, 'await refuseAtLimit(database, counters)\n  const result', 'const result')
plant(FILE, 'await refuseAtLimit(database, counters)\n    // Shared', '// Shared')
