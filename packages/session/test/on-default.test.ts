import { findProgram } from '@repo/testing/find-program'
import { swiftBehaviours } from './behaviours/index.ts'
import { testOnStore } from './on-store.ts'

// In every run one store, and what is found out at once. All behaviours on all stores are in `pnpm test:long`.
await testOnStore(findProgram('redis-server', 'valkey-server') ? 'Redis' : 'Postgres', swiftBehaviours)
