import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { describe, expect, test } from 'vitest'
import { bundle } from '../src/bundle.ts'

describe('a build fails', () => {
  test.each([
    [
      'when a module names a file that is not there',
      `console.log(new URL('./missing.sql', import.meta.url))`,
    ],
    ['when a module imports what is not there', `import 'nowhere-to-be-found'`],
    [
      'when two files that are carried along have the same name',
      `console.log(new URL('./a/x.sql', import.meta.url), new URL('./b/x.sql', import.meta.url))`,
    ],
  ])('%s', async (_, source) => {
    await using folder = await openTemporaryFolder('build')
    for (const name of ['src/a', 'src/b']) {
      await mkdir(join(folder.path, name), { recursive: true })
      await writeFile(join(folder.path, name, 'x.sql'), 'SELECT 1')
    }
    await writeFile(join(folder.path, 'src/server.ts'), source)
    await expect(bundle(folder.path, ['src/server.ts'])).rejects.toThrow(
      /missing\.sql|nowhere-to-be-found|x\.sql/,
    )
  })
})
