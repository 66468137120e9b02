import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { addImporter, droppedPackages, removeImporter } from '../lockfile.ts'

const ROOT = new URL('../../../', import.meta.url)
const lockfile = await readFile(new URL('pnpm-lock.yaml', ROOT), 'utf8')

// Members whose dependencies other members have as well.
test.each(['apps/migrate', 'packages/config'])(
  'a member that is taken out and put in again leaves no trace: %s',
  async (folder) => {
    const manifest = JSON.parse(await readFile(new URL(`${folder}/package.json`, ROOT), 'utf8'))
    const without = removeImporter(lockfile, folder)
    expect(without.length).toBeLessThan(lockfile.length)
    expect(addImporter(without, folder, manifest)).toBe(lockfile)
  },
)

test('what no member has any more is known', () => {
  expect(droppedWith('packages/database')).toContain('@prisma/adapter-pg')
  expect(droppedWith('packages/database')).not.toContain('typebox')
  expect(droppedWith('apps/migrate')).toEqual([])
})

function droppedWith(folder: string): string[] {
  return droppedPackages(lockfile, removeImporter(lockfile, folder))
}

test('a version that no member has is refused, and so is a file of another form', () => {
  const manifest = { name: '@repo/x', dependencies: { nobody: 'catalog:' } }
  expect(() => addImporter(lockfile, 'apps/x', manifest)).toThrow('pnpm-lock.yaml knows no version of nobody')
  expect(() => removeImporter('lockfileVersion: 12\n', 'apps/x')).toThrow('form')
})
