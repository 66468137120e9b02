import { plant } from '../../../../../../infra/prove/faults/plant.ts'

const FILE = 'apps/bookmarks/src/domain/run-import.ts'

// An import that begins at its first link again when it is tried again, and counts what it had counted already.
plant(FILE, 'if (position <= total) continue', '')
plant(FILE, 'AND total = $3::int', 'AND $3::int >= 0')
