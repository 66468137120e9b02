import { plant } from '../plant.ts'

// Cookies signed with the new secret only: the old release, which still runs, does not accept them.
plant(
  'packages/session/src/session-cookie.ts',
  '[id, ...keys.map((key) => signature(key, id))]',
  '[id, signature(keys[0]!, id)]',
)
