import { migrate } from '@repo/database/migrate'
import { shareUrl } from '@repo/database/shares'
import { migrateQueue } from '@repo/queue'
import { createEmptyDatabase, query } from '@repo/testing'
import { expect, test } from 'vitest'
import { apps, environmentOn, release } from './run-release.ts'

const withQueue = apps.filter(({ hasQueue }) => hasQueue)

/** A database as earlier releases left it: all tables in `public`, all jobs in one queue, all owned by a superuser. */
async function openOldDatabase(): ReturnType<typeof createEmptyDatabase> {
  const database = await createEmptyDatabase()
  for (const tables of apps) await migrate(database.url, { ...tables, schema: 'public' })
  await query(database.url, 'CREATE SCHEMA graphile_worker; CREATE SCHEMA queue')
  await migrateQueue(database.url, 'graphile_worker')
  await query(
    database.url,
    `ALTER TABLE graphile_worker.queue_workers SET SCHEMA queue; ALTER TABLE queue.queue_workers RENAME TO workers;
     ALTER TABLE graphile_worker.queue_schedules SET SCHEMA queue; ALTER TABLE queue.queue_schedules RENAME TO schedules`,
  )
  return database
}

test('what an older clone has in public is moved to the apps, once, with its rows and its record', async () => {
  await using database = await openOldDatabase()
  const tables = await query<{ name: string }>(
    database.url,
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> '_prisma_migrations'`,
  )
  const { code, output } = await release(environmentOn(database.url))
  expect([code, output]).toEqual([0, expect.stringContaining(`moved what ${apps[0]!.app} has from`)])
  expect(output).toMatch(/^nothing to apply$/m)
  const left = `SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`
  expect(await query(database.url, left)).toEqual([])
  const found: unknown[] = []
  for (const { app, schema } of apps) {
    const url = shareUrl(database.url, app)
    const owner = new URL(url).username
    found.push(
      ...(await query(
        url,
        `SELECT tablename AS name FROM pg_tables WHERE schemaname = '${schema}' AND tableowner = '${owner}'
           AND tablename <> '_prisma_migrations'`,
      )),
    )
  }
  expect(found).toHaveLength(tables.length)
  expect(found).toEqual(expect.arrayContaining(tables))
  expect(await release(environmentOn(database.url))).toEqual({ code: 0, output: 'nothing to apply' })
})

test.runIf(withQueue.length > 0)(
  'jobs that wait, and those that have failed, are moved as well',
  async () => {
    await using database = await openOldDatabase()
    const { app, schema } = withQueue[0]!
    await query(
      database.url,
      `SELECT graphile_worker.add_job('${app}.pay', '{"n": 1}', queue_name => 'ada', run_at => now() + interval '1 day');
     SELECT graphile_worker.add_job('${app}.fail', '{"n": 2}', max_attempts => 1);
     SELECT graphile_worker.add_job('nobody.waits', '{}');
     UPDATE graphile_worker._private_jobs SET attempts = 1, last_error = 'no money' WHERE max_attempts = 1;
     INSERT INTO queue.schedules VALUES ('${app}.nightly', '2026-01-01')`,
    )
    expect((await release(environmentOn(database.url))).output).toContain(
      `moved 2 jobs of ${app} to ${schema}_queue`,
    )
    const jobs =
      `SELECT task_identifier AS job, payload, queue_name, attempts, last_error, run_at > now() + interval '1 hour' AS "isLater"
    FROM jobs JOIN _private_jobs USING (id) ORDER BY task_identifier DESC`
        .replaceAll('attempts', 'jobs.attempts')
        .replaceAll('last_error', 'jobs.last_error')
        .replaceAll('run_at', 'jobs.run_at')
    expect(await query(shareUrl(database.url, app), jobs)).toEqual([
      {
        job: `${app}.pay`,
        payload: { n: 1 },
        queue_name: 'ada',
        attempts: 0,
        last_error: null,
        isLater: true,
      },
      {
        job: `${app}.fail`,
        payload: { n: 2 },
        queue_name: null,
        attempts: 1,
        last_error: 'no money',
        isLater: false,
      },
    ])
    expect(await query(shareUrl(database.url, app), 'SELECT name FROM queue_schedules')).toEqual([
      { name: `${app}.nightly` },
    ])
    // What belongs to no app stays in its place.
    const left = 'SELECT task_identifier AS job FROM graphile_worker.jobs'
    expect(await query(database.url, left)).toEqual([{ job: 'nobody.waits' }])
  },
)
