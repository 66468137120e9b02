import { plant } from '../plant.ts'

// A cookie signed with the new secret alone: the old release does not know it, while both are at work.
plant(
  'packages/session/src/session-cookie.ts',
  '[id, ...keys.map((key) => signature(key, id))]',
  '[id, signature(keys[0]!, id)]',
)
