import {
  applyChange,
  checkName,
  planPart,
  planService,
  Refusal,
  type Capability,
  type Change,
  type Kind,
} from '@repo/generator'
import { findDevelopment } from '../dev/claim-clone.ts'
import { readFormation } from '../formation.ts'
import { deriveWith } from './derived-files.ts'
import { printDry } from './run-command.ts'
import { assertApp, takenNames } from './taken-names.ts'
import { tellPnpm } from './tell-pnpm.ts'

export interface NewOptions {
  /** A name, or what is new and where: `route orders/refunds`. */
  words: string[]
  kind: Kind | undefined
  with: Capability[]
  isDry: boolean
  isForced: boolean
}

/** @throws {Refusal} */
export async function runNew(root: string, options: NewOptions): Promise<void> {
  const { title, plan } = await readWish(root, options)
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

async function readWish(
  root: string,
  options: NewOptions,
): Promise<{ title: string; plan(): Promise<Change> }> {
  const [first, second] = options.words
  if ((first === 'route' || first === 'job') && second !== undefined) return readPart(root, first, second)
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
  assertName(root, name)
  const folder = kind === 'package' ? `packages/${name}` : `apps/${name}`
  return {
    title: folder,
    plan: async () => {
      // Asked again: somebody else may have taken it meanwhile.
      assertName(root, name)
      return planService(root, { name, kind, with: asked }, (app) => deriveWith(root, app))
    },
  }
}

function readPart(
  root: string,
  kind: 'route' | 'job',
  path: string,
): { title: string; plan(): Promise<Change> } {
  const [app = '', name = '', ...rest] = path.split('/')
  assertApp(root, app || path)
  if (rest.length > 0) throw new Refusal(`pnpm new ${kind} ${app}/${name}: one name after the app's.`)
  const problem = checkName(name, new Map())
  if (problem) throw new Refusal(sentence(name, problem))
  return { title: `apps/${app}: ${kind} ${name}`, plan: () => planPart(root, { kind, app, name }) }
}

function assertName(root: string, name: string): void {
  const problem = checkName(name, takenNames(root))
  if (problem) throw new Refusal(sentence(name, problem))
}

function sentence(name: string, { reason, suggestion }: { reason: string; suggestion?: string }): string {
  return `"${name}" cannot be had. ${reason}${suggestion ? ` What about ${suggestion}?` : ''}`
}
