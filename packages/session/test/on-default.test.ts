import { findProgram } from '@repo/testing/programs'
import { swiftBehaviours } from './behaviours/index.ts'
import { testOnStore } from './on-store.ts'

// The quick behaviours on one store. `pnpm test:long` runs all behaviours on all stores.
await testOnStore(findProgram('redis-server', 'valkey-server') ? 'Redis' : 'Postgres', swiftBehaviours)
