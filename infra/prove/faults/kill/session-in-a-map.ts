import { plant } from '../plant.ts'

// Sessions in the memory of the process that created them: other processes do not know the user.
plant(
  'packages/session/src/open-session-store.ts',
  'guardStore(await openStore(url), options)',
  `guardStore(openMap(await openStore(url)), options)
  function openMap(store) {
    const records = new Map()
    return {
      ...store,
      load: async (key) => records.get(key) ?? null,
      create: async (key, record) => (records.set(key, record), { listed: 0 }),
      patch: async () => 'done',
      remove: async (key) => records.delete(key) && null,
      removeAll: async () => 0,
      list: async () => ({ sessions: [] }),
      check: async () => {},
    }
  }`,
)
