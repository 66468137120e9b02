import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A worker that takes a bad disk for bad luck and tries again later.
plant(
  'apps/bookmarks/src/domain/temporary-file.ts',
  'return work.catch((cause: unknown) => {',
  'return work.catch((cause: unknown) => { throw cause',
)
