import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listExamples, must, openClone } from './open-clone.ts'

test(
  'an app whose folder is deleted by hand is gone once what is derived is rendered, as by `pnpm retire`',
  { timeout: 300_000 },
  async () => {
    await using retired = await openClone()
    await must(retired.pnpm('retire', '--examples'))
    await retired.commit()

    await using byHand = await openClone()
    for (const name of await listExamples(byHand))
      await rm(join(byHand.root, 'apps', name), { recursive: true })
    await must(byHand.run('infra/deploy/main.ts'))
    await must(byHand.pnpm('install', '--offline', '--trust-lockfile', '--no-frozen-lockfile'))
    await byHand.commit()

    const files = 'ls-files --stage'.split(' ')
    expect(await byHand.git(...files)).toEqual(await retired.git(...files))
    await must(byHand.pnpm('check'))
  },
)
