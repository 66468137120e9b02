import { spawnSync } from 'node:child_process'
import { cpSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openTemporaryFolder, type TemporaryFolder } from '@repo/testing/open-temporary-folder'
import { afterAll, beforeAll, expect, test } from 'vitest'

// A copy of an app, so that no other test loses the client that it imports.

const member = join(import.meta.dirname, '..')
let copy: TemporaryFolder
let file: string
beforeAll(async () => {
  copy = await openTemporaryFolder('generate')
  file = join(copy.path, 'schema.prisma')
  cpSync(join(member, 'test/fixture/library/schema.prisma'), file)
})
afterAll(() => copy[Symbol.asyncDispose]())

/** Generates. Returns the modification time of each file of the client, in nanoseconds. */
function generate(): Record<string, bigint> {
  const options = { cwd: copy.path, encoding: 'utf8' } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(member, 'src/generate.ts')], options)
  expect([status, stdout + stderr]).toEqual([0, expect.stringContaining('Generated Prisma Client')])
  const names = globSync('src/generated/**/*.ts', { cwd: copy.path }).toSorted()
  return Object.fromEntries(
    names.map((name) => [name, statSync(join(copy.path, name), { bigint: true }).mtimeNs]),
  )
}

test('the client that is made again of the same schema is not touched: pnpm dev restarts for every file that is', () => {
  const first = generate()
  expect(Object.keys(first)).toContain('src/generated/client.ts')
  expect(generate()).toEqual(first)
  expect(globSync('node_modules/.generate-*', { cwd: copy.path })).toEqual([])
})

test('of another schema what differs is written, and what is not made any more is gone', () => {
  const schema = readFileSync(file, 'utf8')
  writeFileSync(file, `${schema}\nmodel More {\n  id String @id\n}\n`)
  const before = generate()
  writeFileSync(file, schema)
  const after = generate()
  expect(Object.keys(before)).toContain('src/generated/models/More.ts')
  expect(Object.keys(after)).not.toContain('src/generated/models/More.ts')
  expect(after['src/generated/models/User.ts']).toBe(before['src/generated/models/User.ts'])
  expect(after['src/generated/models.ts']).not.toBe(before['src/generated/models.ts'])
})

test('a schema that is wrong leaves the client as it was', () => {
  const before = generate()
  const schema = readFileSync(file, 'utf8')
  writeFileSync(file, `${schema}\nmodel Broken {`)
  const broken = spawnSync(process.execPath, [join(member, 'src/generate.ts')], {
    cwd: copy.path,
    encoding: 'utf8',
  })
  writeFileSync(file, schema)
  expect([broken.status, broken.stderr]).toEqual([1, expect.stringContaining('Broken')])
  expect(generate()).toEqual(before)
})
