import { findProgram } from '@repo/testing/programs'
import { testOnStore } from './on-store.ts'

await testOnStore('Redis')
// Debian has Valkey since release 13. Without it these tests are left out and not counted as skipped.
if (findProgram('valkey-server')) await testOnStore('Valkey')
