import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@repo/testing/ports'
import { expect, test } from 'vitest'
import { openSupervisedProcess } from '../supervised-process.ts'

const ignore = (): void => {}

test('a place whose app is gone says so, and everybody else lives on', async () => {
  const cwd = join(tmpdir(), 'an-app-that-was-retired')
  const place = openSupervisedProcess({
    name: 'orders.1',
    port: await freePort(),
    program: () => ({ cwd, entry: 'src/server.ts', nodeArgs: [], env: {} }),
    onLine: ignore,
    onStart: ignore,
    onFailure: ignore,
    onTrouble: ignore,
  })
  expect(await place.start()).toMatch(/^not started\. .*an-app-that-was-retired/)
  expect(place.pid).toBeUndefined()
  await place.stop()
  expect(await place.start()).toBeUndefined()
})
