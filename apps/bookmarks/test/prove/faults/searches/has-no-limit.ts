import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A search that may take as long as any other statement.
plant('packages/database/src/limit-queries.ts', '${`${answerWithinMs}`}', "${'5000'}")
