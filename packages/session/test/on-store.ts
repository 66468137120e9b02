import { needs } from '@repo/testing/programs'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { openSessionStore } from '../src/index.ts'
import { behaviours, storeContract, type Stage, type StoreSetting } from './behaviours/index.ts'
import { openStage } from './behaviours/open-stage.ts'
import { programOf, stores } from './behaviours/open-stores.ts'

/** Tests the store contract and these behaviours on one store. Skipped when the store is not installed. */
export async function testOnStore(name: keyof typeof stores, played = behaviours): Promise<void> {
  const resources = new AsyncDisposableStack()
  const underTest = await stores[name]!(resources)
  afterAll(() => resources.disposeAsync())

  describe(`the store contract on ${name}`, needs(programOf[name]), () => {
    let setting: StoreSetting

    beforeAll(async () => {
      const [one, two] = [await openSessionStore(underTest!.url), await openSessionStore(underTest!.url)]
      setting = { one: resources.use(one), two: resources.use(two), underTest: underTest! }
    })

    for (const { claim, play } of storeContract) test(claim, () => play(setting))
  })

  describe(`sessions on ${name}`, needs(programOf[name]), () => {
    let stage: Stage

    beforeAll(async () => {
      stage = resources.use(await openStage(underTest!))
    })

    for (const { number, claim, play } of played) {
      test(`${number}. ${claim}`, { timeout: 60_000 }, () => play(stage))
    }
  })
}
