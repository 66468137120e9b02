import { loadEnv } from '@repo/config'
import { databaseEnv } from '@repo/database'
import { migrate, MigrationError } from '@repo/database/migrate'
import { migrateQueue } from '@repo/queue'
import { Type } from 'typebox'

const env = loadEnv(Type.Object({ DATABASE_URL: databaseEnv.DATABASE_URL }), process.env)

try {
  const applied = await migrate(env.DATABASE_URL, { log: console.log })
  await migrateQueue(env.DATABASE_URL)
  console.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing to apply')
} catch (error) {
  console.error(error instanceof MigrationError ? error.message : error)
  process.exitCode = 1
}

// The engine never clears the timer of its own lock, which would keep a release waiting for ten seconds.
process.exit()
