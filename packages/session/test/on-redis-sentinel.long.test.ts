import { testOnStore } from './on-store.ts'

await testOnStore('Redis Sentinel')
