import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Change } from './change.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time is compiling, so its result is kept.
enableCompileCache(join(root, '.dev/compile-cache'))
const { findDevelopment } = await import('../dev/claim-clone.ts')
const { readFormation } = await import('../formation.ts')
const { applyChange } = await import('./apply-change.ts')
const { Refusal } = await import('./change.ts')
const { assertApp, checkName, takenNames } = await import('./names.ts')
const { planPart } = await import('./plan-part.ts')
const { planService } = await import('./plan-service.ts')
const { printDry, readArguments, runCommand, tellPnpm } = await import('./run-command.ts')
const { capabilities, hasJobs, kinds } = await import('./template.ts')

const HELP = `pnpm new [name] [--kind ${[...kinds.keys()].join('|')}] [--with ${[...capabilities.keys()].join(',')}]
pnpm new route${hasJobs ? '|job' : ''} app/name

Makes a service or a package, or a part of an app, and registers it wherever needed: all of it or nothing.
Asks for what is not given; a script that names no kind gets http. A running pnpm dev starts the new service by itself.

  --kind      ${listed(kinds)}
  --with      ${listed(capabilities)}
  --dry-run   prints the change as a patch, and changes nothing
  --force     also when there are changes that are not committed
`

const options = readArguments(
  HELP,
  { kind: { type: 'string' }, with: { type: 'string', multiple: true, default: [] } },
  ({ kind, with: lists }, words) => ({
    /** A name, or what is new and where: `route orders/refunds`. */
    words,
    kind: kind === undefined ? undefined : oneOf('--kind', kinds, kind),
    with: lists
      .flatMap((list) => list.split(','))
      .filter((word) => word !== '')
      .map((word) => oneOf('--with', capabilities, word)),
  }),
)
await runCommand(root, options, run)

/** What the user asks for: its name in the last message, and the plan of the change. */
interface Wish {
  title: string
  plan(): Promise<Change>
}

async function run(): Promise<void> {
  const { title, plan } = await readWish()
  if (options.isDry) return printDry(root, await plan())
  const { notes } = await applyChange(root, plan)
  const seconds = (performance.now() / 1000).toFixed(2)
  console.log(`${title} is there (${seconds} s).`)
  for (const note of notes) console.log(note)
  const origin = (await findDevelopment(root)) ?? 'http://localhost:3000'
  for (const { name, route, app } of readFormation(root).running) {
    if (app === title) console.log(`  ${name}${route ? `  ${origin}${route}` : ''}`)
  }
  await tellPnpm(root)
}

async function readWish(): Promise<Wish> {
  const [first, second] = options.words
  if ((first === 'route' || first === 'job') && second !== undefined) return readPart(first, second)
  const { ask } = await import('./ask.ts')
  const wish =
    process.stdin.isTTY && (first === undefined || !options.kind) ? await ask(root, first) : undefined
  const {
    name,
    kind,
    with: asked,
  } = wish ?? {
    name: first ?? '',
    kind: options.kind ?? ('http' as const),
    with: options.with,
  }
  assertName(name)
  const folder = kind === 'package' ? `packages/${name}` : `apps/${name}`
  return {
    title: folder,
    plan: async () => {
      // Checked again, because another command may have taken the name meanwhile.
      assertName(name)
      return planService(root, { name, kind, with: asked })
    },
  }
}

function readPart(kind: 'route' | 'job', path: string): Wish {
  const [app = '', name = '', ...rest] = path.split('/')
  assertApp(root, app || path)
  if (rest.length > 0) throw new Refusal(`pnpm new ${kind} ${app}/${name}: one name after the app's.`)
  const problem = checkName(name, new Map())
  if (problem) throw new Refusal(sentence(name, problem))
  return { title: `apps/${app}: ${kind} ${name}`, plan: () => planPart(root, { kind, app, name }) }
}

function assertName(name: string): void {
  const problem = checkName(name, takenNames(root))
  if (problem) throw new Refusal(sentence(name, problem))
}

function sentence(name: string, { reason, suggestion }: { reason: string; suggestion?: string }): string {
  return `"${name}" cannot be had. ${reason}${suggestion ? ` What about ${suggestion}?` : ''}`
}

function oneOf<T extends string>(option: string, known: ReadonlyMap<T, string>, word: string): T {
  const names = [...known.keys()]
  const found = names.find((name) => name === word)
  if (!found) throw new Error(`${option} ${word}: expected ${names.join(', ')}`)
  return found
}

function listed(known: ReadonlyMap<string, string>): string {
  return [...known].map(([name, about]) => `${name.padEnd(14)} ${about}`).join(`\n${' '.repeat(14)}`)
}
