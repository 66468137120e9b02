import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A search that may take as long as it likes. With the limit of other statements, 5 s, the row breaks only if two of a user
// happen to wait for each other in two processes.
plant('packages/database/src/limit-queries.ts', '${`${answerWithinMs}`}', "${'60000'}")
