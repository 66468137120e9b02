import { plant } from '../plant.ts'

// A store client without a deadline: it waits as long as the store is silent.
plant('packages/session/src/open-session-store.ts', 'deadlineMs = 500', 'deadlineMs = 600_000')
plant('packages/session/src/stores/redis.ts', 'socketTimeout: 2000,', '')
