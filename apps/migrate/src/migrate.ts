import { loadEnv } from '@repo/config'
import { databaseEnv } from '@repo/database'
import { migrate } from '@repo/database/migrate'
import { migrateQueue } from '@repo/queue'
import { Type } from 'typebox'

const env = loadEnv(Type.Object({ ...databaseEnv }), process.env)

const applied = await migrate(env.DATABASE_URL)
console.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing to apply')
await migrateQueue(env.DATABASE_URL)

// The engine never clears the timer of its own lock, which would keep a release waiting for ten seconds.
process.exit()
