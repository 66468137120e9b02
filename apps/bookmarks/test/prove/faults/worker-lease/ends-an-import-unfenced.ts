import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A worker that writes the end of an import even when another worker has the job.
plant(
  'apps/bookmarks/src/jobs/import-bookmarks.ts',
  'await transaction((tx) => endImport(tx, importId, error.message))',
  'await database.$transaction((tx) => endImport(tx, importId, error.message))',
)
