import type { ProcessType } from '../../formation.ts'
import type { Ground } from './ground.ts'
import { imageProblems } from './image-problems.ts'
import type { Unpacked } from './open-images.ts'
import { mistakesThatLie } from './planted-images.ts'
import { planted, type Check } from './run-checks.ts'

/** Checks of images that do not run. */
export function imageChecks(ground: Ground): Check[] {
  const { release, running } = ground.formation
  const all = [...release, ...running]
  const [victim] = running
  return [
    ...all.map((type): Check => {
      return {
        name: `the image ${type.name} is built by infra/deploy/image/Dockerfile, and is as an image is to be`,
        async run() {
          const image = await ground.image(type)
          await assertGood(ground, type, image)
          return `${(image.bytes / 1e6).toFixed(0)} MB`
        },
      }
    }),
    {
      name: 'images are reproducible: built again from nothing, each has the same layer',
      async run() {
        for (const type of all) {
          assertSame(type, await ground.image(type), await ground.imageAgain(type))
        }
        return `${all.length} digests`
      },
    },
    planted('an image that says when it was built', /was sha256:\w+, and is/, async () => {
      const build = (n: number): Promise<Unpacked> =>
        ground.plant(victim!, { lines: ['COPY when /app/when'], files: { when: `${Date.now() + n}` } })
      assertSame(victim!, await build(1), await build(2))
    }),
    ...mistakesThatLie(MARKER, 'localhost/nonstick-build').map((mistake) =>
      planted(`an image with ${mistake.what}`, mistake.expected, async () => {
        await assertGood(ground, victim!, await ground.plant(victim!, mistake), [MARKER])
      }),
    ),
  ]
}

/** Stands for a secret in planted images: their Dockerfiles are written before a real secret exists. */
const MARKER = 'the-secret-of-a-planted-mistake'

function assertSame({ name }: ProcessType, one: Unpacked, other: Unpacked): void {
  if (one.history === other.history) throw new Error(`${name} came from the cache`)
  if (one.digest !== other.digest) throw new Error(`${name} was ${one.digest}, and is ${other.digest} now`)
}

async function assertGood(
  ground: Ground,
  type: ProcessType,
  image: Unpacked,
  moreSecrets: readonly string[] = [],
): Promise<void> {
  const expected = await ground.expected(type)
  const problems = await imageProblems(image, {
    ...expected,
    secrets: [...expected.secrets, ...moreSecrets],
  })
  if (problems.length > 0) throw new Error(problems.join('\n'))
}
