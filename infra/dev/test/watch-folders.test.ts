import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pollUntil } from '@repo/testing/poll-until'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { watchFolders } from '../watch-folders.ts'

let root: string
let watching: Disposable
let batches: string[][]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nonstick-watch-'))
  await mkdir(join(root, 'apps/a/src'), { recursive: true })
  await mkdir(join(root, 'apps/a/node_modules'))
  await writeFile(join(root, 'apps/a/src/file.ts'), '')
  batches = []
  watching = watchFolders([join(root, 'apps'), join(root, 'absent')], async (paths) => {
    batches.push([...paths].map((path) => relative(root, path)).sort())
  })
})

afterEach(async () => {
  watching[Symbol.dispose]()
  await rm(root, { recursive: true })
})

/** The first batch after `act`. */
async function batchAfter(act: () => Promise<unknown>): Promise<string[]> {
  const before = batches.length
  await act()
  await pollUntil('there is another batch', () => batches.length > before)
  return batches[before]!
}

const save = (path: string): Promise<void> => writeFile(join(root, path), `${performance.now()}`)

/** Saves as many editors do: a new file is renamed to the name of the old one. */
async function saveByRename(path: string): Promise<void> {
  await save(`${path}.tmp`)
  await rename(join(root, `${path}.tmp`), join(root, path))
}

test('sees a file that is saved, again and again, in place and by renaming', async () => {
  const file = 'apps/a/src/file.ts'
  expect(await batchAfter(() => save(file))).toEqual([file])
  expect(await batchAfter(() => saveByRename(file))).toContain(file)
  expect(await batchAfter(() => save(file))).toEqual([file])
})

test('makes one batch of what changes at once', async () => {
  const batch = await batchAfter(() =>
    Promise.all(['x', 'y', 'z'].map((name) => save(`apps/a/src/${name}.ts`))),
  )
  expect(batch).toEqual(['apps/a/src/x.ts', 'apps/a/src/y.ts', 'apps/a/src/z.ts'])
})

test('sees a folder that is moved in with all its files, edits in it, and that it is gone', async () => {
  await mkdir(join(root, 'b/src'), { recursive: true })
  await save('b/src/file.ts')
  for (const _ of ['once', 'and once more']) {
    const moved = await batchAfter(() => rename(join(root, 'b'), join(root, 'apps/b')))
    expect(moved).toEqual(['apps/b', 'apps/b/src', 'apps/b/src/file.ts'])
    expect(await batchAfter(() => save('apps/b/src/file.ts'))).toEqual(['apps/b/src/file.ts'])
    expect(await batchAfter(() => rename(join(root, 'apps/b'), join(root, 'b')))).toContain('apps/b')
  }
})

test('leaves out what tools write', async () => {
  await mkdir(join(root, 'apps/a/dist'))
  await save('apps/a/dist/bundle.js')
  await save('apps/a/node_modules/package.js')
  expect(await batchAfter(() => save('apps/a/src/file.ts'))).toEqual(['apps/a/src/file.ts'])
  expect(batches).toHaveLength(1)
})
