import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  applyChange,
  capabilities,
  checkName,
  kinds,
  planPart,
  planService,
  printChange,
  Refusal,
  settleChange,
  type Capability,
  type Change,
  type Kind,
} from '@repo/generator'
import { readFormation } from '../formation.ts'
import { assertCleanTree } from './assert-clean-tree.ts'
import { deriveWith } from './derived-files.ts'
import { listApps, takenNames } from './taken-names.ts'

const HELP = `pnpm new [name] [--kind ${kinds.join('|')}] [--with ${capabilities.join(',')}]
pnpm new route app/name
pnpm new job app/name

A service more, or a package, or a route or a job in an app: wired wherever it must be, all of it or nothing.
Asks for what is not said. A running pnpm dev starts the new service by itself.

  --kind      http           answers requests under /api/<name>; the default
              worker         runs jobs
              http+worker    both, from one code base
              package        a mechanism that apps share
  --with      database       tables of its own, and the first migration
              session        knows who is signed in
              queue          makes jobs, in the transaction that made them necessary
  --dry-run   prints the change as a patch, and does nothing
  --force     also when there are changes that are not committed
`

const startedAt = performance.now()
const root = fileURLToPath(new URL('../..', import.meta.url))
const options = readArguments()

try {
  await settleChange(root)
  await run()
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(error.message)
  process.exitCode = 1
}

async function run(): Promise<void> {
  if (!options.isForced && !options.isDry) assertCleanTree(root)
  const { title, plan } = await readWish()
  const before = readFormation(root)
  if (options.isDry) {
    const change = await plan()
    process.stdout.write(printChange(root, change))
    for (const note of change.notes) console.error(note)
    return
  }
  const { notes } = await applyChange(root, plan)
  const known = new Set(before.running.map(({ name }) => name))
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(2)
  console.log(`${title} is there (${seconds} s).`)
  for (const note of notes) console.log(note)
  for (const { name, route } of readFormation(root).running) {
    if (!known.has(name)) console.log(`  ${name}${route ? `  http://localhost:3000${route}` : ''}`)
  }
}

async function readWish(): Promise<{ title: string; plan(): Promise<Change> }> {
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
      // Asked again: somebody else may have taken it meanwhile.
      assertName(name)
      return planService(root, { name, kind, with: asked }, (app, processes) =>
        deriveWith(root, app, processes),
      )
    },
  }
}

function readPart(kind: 'route' | 'job', path: string): { title: string; plan(): Promise<Change> } {
  const [app = '', name = '', ...rest] = path.split('/')
  if (!listApps(root).includes(app)) {
    throw new Refusal(`There is no app ${app || path}. There are ${listApps(root).join(', ')}.`)
  }
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

interface Options {
  words: string[]
  kind: Kind | undefined
  with: Capability[]
  isDry: boolean
  isForced: boolean
}

function readArguments(): Options {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        kind: { type: 'string' },
        with: { type: 'string', multiple: true, default: [] },
        'dry-run': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      console.log(HELP)
      process.exit()
    }
    const asked = values.with.flatMap((list) => list.split(',')).filter((word) => word !== '')
    return {
      words: positionals,
      kind: values.kind === undefined ? undefined : oneOf('--kind', kinds, values.kind),
      with: [...new Set(asked.map((word) => oneOf('--with', capabilities, word)))],
      isDry: values['dry-run'],
      isForced: values.force,
    }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    process.exit(1)
  }
}

function oneOf<T extends string>(option: string, known: readonly T[], word: string): T {
  const found = known.find((each) => each === word)
  if (!found) throw new Error(`${option} ${word}: expected ${known.join(', ')}`)
  return found
}
