import { expect, test } from 'vitest'
import { startFormation } from './formation.ts'
import { measureImport } from './measure-import.ts'

test('while a large file is imported and exported, the memory of every process stays below 200 MB', async () => {
  await using house = await startFormation()
  const { peakMB } = await measureImport(house, 20_000)
  if (process.platform === 'linux') expect(Object.keys(peakMB)).toHaveLength(4)
  for (const [name, megabytes] of Object.entries(peakMB)) {
    expect(megabytes, `${name} took ${megabytes} MB`).toBeLessThan(200)
  }
}, 120_000)
