import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A worker that treats a bad disk as a temporary error and tries again later.
plant(
  'apps/bookmarks/src/domain/temporary-file.ts',
  'return work.catch((cause: unknown) => {',
  'return work.catch((cause: unknown) => { throw cause',
)
