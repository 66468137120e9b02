import { findProgram } from '@repo/testing/find-program'
import { testOnStore } from './on-store.ts'

// One store in every run, and the others in `pnpm test:long`: their tests differ in nothing but the store.
await testOnStore(findProgram('redis-server', 'valkey-server') ? 'Redis' : 'Postgres')
// No Debian before 13 has it, so a machine without it has nothing to be counted as skipped: `pnpm test` names it as absent.
if (findProgram('valkey-server')) await testOnStore('Valkey')
