import { testOnStore } from './on-store.ts'

await testOnStore('memcached')
