import { plant } from '../plant.ts'

// All sessions of the list end at the same time, each by a command of its own: more than the guard allows.
plant(
  'packages/session/src/user-sessions.ts',
  'const pages = pagesOf(store, ownerKey)',
  `const all = (await Array.fromAsync(pagesOf(store, ownerKey))).flat()
  await Promise.all(all.map(({ key }) => store.remove(key, ownerKey)))
  const pages = pagesOf(store, ownerKey)`,
)
