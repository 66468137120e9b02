import { fileURLToPath } from 'node:url'
import { createEmptyDatabase, startProcess } from '@repo/testing'
import { expect, test } from 'vitest'

test('a release brings an empty database up to date, and the next one finds nothing to do', async () => {
  await using database = await createEmptyDatabase()
  expect(await release({ DATABASE_URL: database.url })).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^applied \d{14}_accounts/),
  })
  expect(await release({ DATABASE_URL: database.url })).toMatchObject({ code: 0, output: 'nothing to apply' })
}, 60_000)

test('a release that cannot reach Postgres says so and fails, without a password', async () => {
  const { code, output } = await release({ DATABASE_URL: 'postgres://app:s3cret@127.0.0.1:1/app' })
  expect(code).toBe(1)
  expect(output).toMatch(/^The database cannot be reached: .*ECONNREFUSED/)
  expect(output).not.toContain('s3cret')
})

test('a release without DATABASE_URL is told what is missing', async () => {
  const { code, output } = await release({})
  expect(code).toBe(78)
  expect(output).toContain('DATABASE_URL')
})

async function release(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  await using running = await startProcess({
    name: 'migrate',
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    entry: 'src/migrate.ts',
    env,
  })
  const { code } = await running.exited
  return { code, output: running.output() }
}
