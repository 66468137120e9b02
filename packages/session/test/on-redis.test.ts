import { findProgram } from '@repo/testing/find-program'
import { testOnStore } from './on-store.ts'

await testOnStore('Redis')
// No Debian before 13 has it, so that a machine without it is nothing to be counted as skipped.
if (findProgram('valkey-server')) await testOnStore('Valkey')
