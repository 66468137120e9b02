import { needs } from '@repo/testing/programs'
import * as fc from 'fast-check'
import { afterAll, describe, test } from 'vitest'
import { playInterleaving, type Step, type World } from './interleavings.ts'
import { openStage } from './behaviours/open-stage.ts'
import { programOf, stores } from './behaviours/open-stores.ts'

// Cluster and Sentinel use the driver of Redis.
const shares = {
  Redis: 0.5,
  // keep: memcached
  memcached: 0.25,
  // /keep
  Postgres: 0.25,
}

const browser = fc.nat(2)
const process_ = fc.nat(3)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.record({
      do: fc.constant('begin' as const),
      what: fc.constantFrom('read', 'write', 'write', 'regenerate'),
      browser,
      process: process_,
    }),
  },
  {
    weight: 30,
    arbitrary: fc.record({
      do: fc.constant('begin' as const),
      what: fc.constant('sign-in' as const),
      browser,
      process: process_,
      person: fc.nat(1),
    }),
  },
  { weight: 80, arbitrary: fc.record({ do: fc.constant('finish' as const), which: fc.nat(7) }) },
  {
    weight: 40,
    arbitrary: fc.record({
      do: fc.constantFrom('increment', 'sign-out', 'expire'),
      browser,
      process: process_,
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      do: fc.constant('volley' as const),
      with: fc.constantFrom('nothing', 'sign-out', 'sign-in again', 'increments'),
      browser,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), process: process_ }) },
)

/**
 * Defines tests of random interleavings: `runs` on all stores together.
 *
 * @param replay the printed steps of a counterexample, to run only these
 */
export function exploreInterleavings(runs: number, replay?: string): void {
  const resources = new AsyncDisposableStack()
  afterAll(() => resources.disposeAsync())

  describe.for(Object.entries(shares))('interleavings on %s', async ([name, share]) => {
    const store = await stores[name]!(resources)

    test(
      'every acknowledged answer holds, whatever overlaps and whoever dies',
      { ...needs(programOf[name]), timeout: 60_000 + runs * 1000 },
      async () => {
        const stage = resources.use(await openStage(store!))
        const processes = await Promise.all([0, 1, 2].map(() => stage.start()))
        resources.defer(() => Promise.all(processes.map((one) => one.stop())).then(() => {}))
        const world: World = {
          processes,
          store: store!,
          async restart(n) {
            await processes[n]!.kill()
            processes[n] = await stage.start()
          },
        }
        if (replay) return playInterleaving(world, JSON.parse(replay))
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 30, size: 'max' }), (steps) =>
            playInterleaving(world, steps),
          ),
          { numRuns: Math.ceil(runs * share) },
        )
      },
    )
  })
}
