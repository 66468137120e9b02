import { testOnStore } from './on-store.ts'

await testOnStore('Postgres')
