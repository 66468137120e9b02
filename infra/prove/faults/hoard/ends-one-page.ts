import { plant } from '../plant.ts'

// Only the first page of a user's sessions ends.
plant(
  'packages/session/src/user-sessions.ts',
  'const pages = pagesOf(store, ownerKey)',
  'const pages = [(await store.list(ownerKey)).sessions]',
)
