import { findProgram } from '@repo/testing/find-program'
import { testOnStore } from './on-store.ts'

await testOnStore('Redis')
// No Debian before 13 has it, so a machine without it has nothing to be counted as skipped: it is named as absent.
if (findProgram('valkey-server')) await testOnStore('Valkey')
