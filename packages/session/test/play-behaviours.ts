import { afterAll, beforeAll, describe, test } from 'vitest'
import { behaviours, type Stage } from '../src/testing/index.ts'
import { openStage } from './open-stage.ts'
import { stores } from './open-stores.ts'

/** The behaviours on one store, as tests; skipped by name when the store is not on this machine. */
export async function playBehaviours(name: keyof typeof stores): Promise<void> {
  const resources = new AsyncDisposableStack()
  const store = await stores[name]!(resources)

  describe.skipIf(!store)(`on ${name}`, () => {
    let stage: Stage

    beforeAll(async () => {
      stage = resources.use(await openStage(store!))
    })
    afterAll(() => resources.disposeAsync())

    for (const { number, claim, play } of behaviours) {
      test(`${number}. ${claim}`, { timeout: 60_000 }, () => play(stage))
    }
  })
}
