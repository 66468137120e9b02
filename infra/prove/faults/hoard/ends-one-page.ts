import { plant } from '../plant.ts'

// Who believes that a person's sessions are one page.
plant(
  'packages/session/src/user-sessions.ts',
  'const pages = pagesOf(store, ownerKey)',
  'const pages = [(await store.list(ownerKey)).sessions]',
)
