import type { ProcessType } from '../formation.ts'
import type { Ground } from './ground.ts'
import { imageProblems } from './image-problems.ts'
import { buildPlanted, mistakesThatLie } from './planted-images.ts'
import { planted, type Check } from './run-checks.ts'

/** Images as they lie there. */
export function imageChecks(ground: Ground): Check[] {
  const { release, running } = ground.formation
  const all = [...release, ...running]
  const [victim] = running
  return [
    ...all.map((type): Check => {
      return {
        name: `the image ${type.name} is built by infra/docker/Dockerfile, and is as an image is to be`,
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
          const [one, other] = [await ground.image(type), await ground.imageAgain(type)]
          if (one.history === other.history) throw new Error(`${type.name} came from the cache`)
          if (one.digest !== other.digest) {
            throw new Error(`${type.name} was ${one.digest}, and is ${other.digest} now`)
          }
        }
        return `${all.length} digests`
      },
    },
    ...mistakesThatLie(MARKER, 'localhost/nonstick-build').map((mistake) =>
      planted(`an image with ${mistake.what}`, mistake.expected, async () => {
        await ground.image(victim!)
        const image = await buildPlanted(await ground.images(), `nonstick/${victim!.name}`, mistake)
        await assertGood(ground, victim!, image, [MARKER])
      }),
    ),
  ]
}

/** Stands for a secret in planted images, whose Dockerfiles are written before there is a real one. */
const MARKER = 'the-secret-of-a-planted-mistake'

async function assertGood(
  ground: Ground,
  type: ProcessType,
  image: Awaited<ReturnType<Ground['image']>>,
  moreSecrets: readonly string[] = [],
): Promise<void> {
  const expected = await ground.expected(type)
  const problems = await imageProblems(image, {
    ...expected,
    secrets: [...expected.secrets, ...moreSecrets],
  })
  if (problems.length > 0) throw new Error(problems.join('\n'))
}
