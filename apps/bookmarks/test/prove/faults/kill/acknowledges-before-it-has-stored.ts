import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// Answers 201 at once and writes a second later: if the process is killed meanwhile, an acknowledged write is lost.
plant(
  'apps/bookmarks/src/domain/bookmarks.ts',
  'return refuseSecond(() =>\n    database.$transaction(',
  `const id = crypto.randomUUID()
  setTimeout(() => database.bookmark.create({ data: { ...data, id } }).catch(() => {}), 1000)
  return { ...data, id }
  return refuseSecond(() =>
    database.$transaction(`,
)
