import { plant } from '../../../../../../infra/prove/faults/plant.ts'

const FILE = 'packages/queue/src/schedule.ts'

// Workers that each remember the last tick by themselves.
plant(FILE, 'last_tick.getTime(), minute)', 'checkedUntil.get(name) ?? last_tick.getTime(), minute)')
plant(
  FILE,
  'WHERE name = $1 AND last_tick < $2 RETURNING',
  "WHERE name = $1 AND $2 > now() - interval '1 day' RETURNING",
)
