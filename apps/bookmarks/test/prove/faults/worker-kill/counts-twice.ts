import { plant } from '../../../../../../infra/prove/faults/plant.ts'

const FILE = 'apps/bookmarks/src/domain/run-import.ts'

// An import whose retry begins at the first link again, and counts the same links twice.
plant(FILE, 'if (position <= total) continue', '')
plant(FILE, 'AND total = $3::int', 'AND $3::int >= 0')
