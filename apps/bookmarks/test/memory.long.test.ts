import { expect, test } from 'vitest'
import { startFormation } from './formation.ts'
import { HEAP_FLAGS, MOST_MB, measureImport } from './measure-import.ts'

test(`while a large file is imported and exported, the memory of every process stays below ${MOST_MB} MB`, async () => {
  // The flags that infra/formation.ts gives to processes of 256 MiB.
  await using house = await startFormation({ NODE_OPTIONS: HEAP_FLAGS })
  const { peakMB } = await measureImport(house, 20_000)
  if (process.platform === 'linux') expect(Object.keys(peakMB)).toHaveLength(4)
  for (const [name, megabytes] of Object.entries(peakMB)) {
    expect(megabytes, `${name} took ${megabytes} MB`).toBeLessThan(MOST_MB)
  }
}, 120_000)
