import { partsOfApps } from '../parts-of-apps.ts'
import { openGround, type Ground } from './ground.ts'
import { imageChecks } from './image-checks.ts'
import { platformChecks } from './platform-checks.ts'
import { runChecks, type Check } from './run-checks.ts'
import { runningChecks } from './running-checks.ts'

/**
 * Everything of a deployment that can be done for real without an engine, by people's own programs: buildah, bwrap,
 * HAProxy, foreman, docker-compose. Needs root.
 *
 * @param words of the names of the checks to run; all of them when there is none
 * @returns whether all passed
 */
export async function verify(root: string, words: readonly string[]): Promise<boolean> {
  await using ground = openGround(root)
  const ofApps = await partsOfApps<{ checks(ground: Ground): Check[] }>(import.meta.dirname, 'checks.ts')
  const all = [
    ...(await platformChecks(ground)),
    ...imageChecks(ground),
    ...runningChecks(ground),
    ...ofApps.flatMap(({ checks }) => checks(ground)),
  ]
  return await runChecks(
    all.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word))),
  )
}
