import { enqueue } from '@repo/queue'
import { fleet, pollUntil } from '@repo/testing'
import { test } from 'vitest'
import { openDatabase } from '../src/database.ts'
import { anyPartJob } from '../src/jobs/any-part.ts'

test('a job is done by a worker, also when the other one is killed', async () => {
  await using workers = await fleet(new URL('..', import.meta.url), { process: 'any-name-worker' })
  await workers.kill(1)
  await using database = openDatabase(workers.env.DATABASE_URL!)
  await enqueue(database, anyPartJob, { subject: 'one' })
  await pollUntil('it is done', () => workers.process(2).output().includes('job done'))
})
