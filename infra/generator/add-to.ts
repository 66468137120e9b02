import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Change } from './change.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time is compiling, so its result is kept.
enableCompileCache(join(root, '.dev/compile-cache'))
const { applyChange } = await import('./apply-change.ts')
const { assertApp } = await import('./names.ts')
const { planAddition } = await import('./plan-addition.ts')
const { printDry, readArguments, runCommand, tellPnpm } = await import('./run-command.ts')
const { capabilities } = await import('./template.ts')

const names = [...capabilities.keys()]
const HELP = `pnpm add-to <app> ${names.join('|')}

Gives an existing app what pnpm new --with would have given it: variables, resources and declarations, all of it or nothing.
Your code stays as it is. The example of a new service is not added.

${[...capabilities].map(([name, about]) => `  ${name.padEnd(10)}  ${about}`).join('\n')}

  --dry-run   prints the change as a patch, and changes nothing
  --force     also when there are changes that are not committed
`

const options = readArguments(HELP, {}, (_, [app, word, ...rest]) => {
  if (app === undefined || word === undefined) throw new Error('Which app, and what?')
  const capability = names.find((known) => known === word)
  if (!capability || rest.length > 0)
    throw new Error(`${[word, ...rest].join(' ')}: expected one of ${names.join(', ')}`)
  return { app, capability }
})

await runCommand(root, options, run)

async function run(): Promise<void> {
  const { app, capability } = options
  assertApp(root, app)
  const plan = () => planAddition(root, app, capability)
  if (options.isDry) return printDry(root, await plan())
  const { notes } = await applyChange(root, async (): Promise<Change> => {
    const change = await plan()
    // The links come before the files that import them, because a running pnpm dev restarts the app at once.
    for (const [path, to] of change.links) link(join(root, 'apps', app, path), to)
    return change
  })
  console.log(`apps/${app} has ${capability} (${(performance.now() / 1000).toFixed(2)} s).`)
  for (const note of notes) console.log(note)
  await tellPnpm(root)
}

function link(path: string, to: string): void {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(to, path, 'dir')
}
