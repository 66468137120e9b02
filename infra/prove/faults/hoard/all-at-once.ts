import { plant } from '../plant.ts'

// Everybody on the list is ended at the same moment, each with a command of its own: more than the guard lets through.
plant(
  'packages/session/src/user-sessions.ts',
  'const pages = pagesOf(store, ownerKey)',
  `const all = (await Array.fromAsync(pagesOf(store, ownerKey))).flat()
  await Promise.all(all.map(({ key }) => store.remove(key, ownerKey)))
  const pages = pagesOf(store, ownerKey)`,
)
