import { execFileSync } from 'node:child_process'
import { enableCompileCache } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PartName } from './plan-adoption.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time is compiling, so its result is kept.
enableCompileCache(join(root, '.dev/compile-cache'))
const { applyChange } = await import('./apply-change.ts')
const { Refusal } = await import('./change.ts')
const { countOwned, parts, planAdoption } = await import('./plan-adoption.ts')
const { listExamples, retireMember } = await import('./retire-member.ts')
const { printSteps, readArguments, runCommand, tellPnpm } = await import('./run-command.ts')

/** What does not work without the queue. */
const NEED_QUEUE: readonly string[] = ['example', 'mail']

/** A description of each choice, by its name. */
const about = new Map<'example' | PartName, string>([
  ['example', 'the apps that show how things are done'],
  ...Object.entries(parts).map(([name, part]) => [name as PartName, part.about] as const),
])
const choices = [...about.keys()]
type Choice = (typeof choices)[number]

const HELP = `pnpm adopt [name] [--keep ${choices.join(',')}]

Makes a clone your team's own. Removes the tests of the starter itself, and each part that is not kept. Writes a README, a CI
and a notice of the licence. Renames the remote origin to starter. Asks for what is not given. Run it again to remove more.

  --keep      all, nothing, or some of these
${[...about].map(([name, what]) => `                ${name.padEnd(11)}  ${what}`).join('\n')}
  --dry-run   prints what would be removed and what you would own, and changes nothing
  --force     also when there are changes that are not committed
`

const options = readArguments(
  HELP,
  { keep: { type: 'string', multiple: true } },
  ({ keep }, [name, ...rest]) => {
    if (rest.length > 0) throw new Error(`${rest.join(' ')}: one name is enough`)
    const problem = name === undefined ? undefined : problemOf(name)
    if (problem) throw new Error(`${name}: ${problem}`)
    return { name, keep: keep && readKeep(keep) }
  },
)
await runCommand(root, options, run)

async function run(): Promise<void> {
  const { name, keep: asked } = await readWish()
  const keep = withNeeded(asked)
  const origin = readOrigin()
  const retired = keep.includes('example') ? [] : listExamples(root).map((app) => `apps/${app}`)
  const kept = keep.filter((part) => part !== 'example')
  const plan = () => planAdoption(root, { name, keep: kept, origin, retired })
  if (options.isDry) {
    const { steps } = await plan()
    const all = [...retired.map((app) => ({ remove: app })), ...steps]
    printSteps(all)
    return sayOwned('You would own', { steps: all })
  }
  for (const app of retired) await retireMember(root, app, { isDry: false })
  const { steps } = await applyChange(root, plan)
  printSteps(steps)
  renameRemote()
  sayOwned('You own')
  await tellPnpm(root, { mayTidyUp: true })
}

/** The parts that were asked for, and those that they need. */
function withNeeded(asked: readonly Choice[]): readonly Choice[] {
  const needing = asked.filter((part) => NEED_QUEUE.includes(part))
  if (needing.length === 0 || asked.includes('queue')) return asked
  console.log(`queue is kept, too: ${needing.join(' and ')} cannot do without.`)
  return [...asked, 'queue']
}

function sayOwned(words: string, change?: Parameters<typeof countOwned>[1]): void {
  const { files, lines, ofTests } = countOwned(root, change)
  console.log(`${words} ${files} files of ${lines} lines, ${ofTests} of them in tests.`)
}

async function readWish(): Promise<{ name: string; keep: readonly Choice[] }> {
  const { keep } = options
  if (options.name !== undefined && keep !== undefined) return { name: options.name, keep }
  if (!process.stdin.isTTY) throw new Refusal(`What is it called, and what is kept?\n\n${HELP}`)
  const { intro, multiselect, text } = await import('@clack/prompts')
  const { answerTo } = await import('./ask.ts')
  intro('Your own')
  const name =
    options.name ??
    (await answerTo(
      text({
        message: 'What is it called?',
        initialValue: basename(root.replace(/\/$/, '')),
        validate: problemOf,
      }),
    ))
  const kept =
    keep ??
    (await answerTo(
      multiselect({
        message:
          'What do you keep? Space chooses, Enter goes on. What is not chosen goes, and so does what proves the starter.',
        required: false,
        options: [...about].map(([value, hint]) => ({ value, hint })),
      }),
    ))
  return { name, keep: kept }
}

/** Why a name is invalid. Undefined for an npm name without a scope, of the kind that images and hosts may have too. */
function problemOf(name = ''): string | undefined {
  return /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)
    ? undefined
    : 'A name has lower case letters, digits and hyphens.'
}

/** The tag that was cloned, else its commit. */
function readOrigin(): string {
  return git('describe', '--tags', '--always') ?? 'of an unknown release'
}

/** Renames the remote `origin` to `starter`: `origin` is for the team's own repository. */
function renameRemote(): void {
  const remotes = git('remote')?.split('\n') ?? []
  if (!remotes.includes('origin') || remotes.includes('starter')) return
  git('remote', 'rename', 'origin', 'starter')
  console.log('The remote that you cloned is called starter now. Yours: git remote add origin <url>')
}

function git(...args: string[]): string | undefined {
  try {
    return execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return undefined
  }
}

function readKeep(words: string[]): Choice[] {
  const asked = words.flatMap((word) => word.split(',')).filter(Boolean)
  if (asked.length === 1 && asked[0] === 'all') return choices
  if (asked.length === 1 && asked[0] === 'nothing') return []
  return asked.map((word) => {
    const known = choices.find((choice) => choice === word)
    if (!known) throw new Error(`--keep ${word}: expected all, nothing, or of ${choices.join(', ')}`)
    return known
  })
}
