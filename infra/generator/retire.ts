import { existsSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HELP = `pnpm retire <name>
pnpm retire --examples

Removes a service or a package: its folder, and what is rendered from it, all of it or nothing. Refuses while something
depends on it. A running pnpm dev stops its processes by itself.

  --examples  the example apps of the starter: before your first release
  --dry-run   prints the change as a patch, and changes nothing
  --force     also when there are changes that are not committed
`

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time is compiling, so its result is kept.
enableCompileCache(join(root, '.dev/compile-cache'))
const { Refusal } = await import('./change.ts')
const { listApps } = await import('./names.ts')
const { listExamples, retireMember } = await import('./retire-member.ts')
const { readArguments, runCommand } = await import('./run-command.ts')
const options = readArguments(
  HELP,
  { examples: { type: 'boolean', default: false } },
  ({ examples }, [name = '']) => ({ examples, name }),
)

await runCommand(root, options, run)

async function run(): Promise<void> {
  if (!options.examples) return retireMember(root, findMember(options.name), options)
  const examples = listExamples(root)
  if (examples.length === 0) console.log('There is no example left.')
  for (const app of examples) await retireMember(root, `apps/${app}`, options)
}

function findMember(name: string): string {
  const found = ['apps', 'packages']
    .map((parent) => `${parent}/${name}`)
    .filter((folder) => /^[a-z0-9-]+$/.test(name) && existsSync(join(root, folder, 'package.json')))
  if (found.length === 1) return found[0]!
  throw new Refusal(
    name === '' ? HELP : `There is no app or package ${name}. The apps are ${listApps(root).join(', ')}.`,
  )
}
