import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { partsOfApps } from '../../parts-of-apps.ts'
import { openGround, type Ground } from './ground.ts'
import { imageChecks } from './image-checks.ts'
import { platformChecks } from './platform-checks.ts'
import { runChecks, type Check } from './run-checks.ts'
import { runningChecks } from './running-checks.ts'

const help = `pnpm verify [word...]

Tests deployments without a container engine: builds and runs the images, starts the Procfile with foreman, lets
docker-compose parse its file, and restarts processes behind HAProxy. Planted mistakes, which must be found, test the checks
themselves. Needs root, and these Debian packages: buildah bubblewrap debootstrap docker-compose haproxy ruby-foreman.

With words, runs only the checks whose name contains one of them.
`

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', default: false } },
})
if (options.help) console.log(help)
else if (!(await verify(resolve(import.meta.dirname, '../../..')))) process.exitCode = 1

/** @returns whether all passed */
async function verify(root: string): Promise<boolean> {
  await using ground = openGround(root)
  const ofApps = await partsOfApps<{ checks(ground: Ground): Check[] }>('test/starter/checks.ts')
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
