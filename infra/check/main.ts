import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { waitForTree } from '../generator/lock-tree.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
await waitForTree(root)

const checks = {
  formatting: 'every file is formatted by oxfmt                   fix: pnpm format',
  lint: 'oxlint finds no mistake                            fix: pnpm lint --fix',
  types: 'TypeScript finds no type error',
  rules: 'the structure of the repository (infra/check/rules.ts)',
  migrations: 'no migration breaks the previous release',
  drift: 'what is rendered from the formation is up to date  fix: pnpm infra',
}

const help = `pnpm check [name...] [--json]

Everything that can be checked without running anything. Unchanged checks come from turbo's cache.

${Object.entries(checks)
  .map(([name, what]) => `  ${name.padEnd(11)} ${what}`)
  .join('\n')}

  --json   ends with one line of JSON
`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
})
const unknown = positionals.filter((name) => !(name in checks))
if (options.help || unknown.length > 0) {
  if (unknown.length > 0) console.error(`There is no check named ${unknown.join(', ')}.\n`)
  console.log(help)
  process.exit(unknown.length > 0 ? 1 : 0)
}

const names = positionals.length > 0 ? positionals : Object.keys(checks)
const results: Record<string, boolean> = {}
for (const name of names) {
  const { passed, output } = await runTask(name)
  results[name] = passed
  if (!passed) console.log(output)
  console.log(`${passed ? 'ok    ' : 'FAILED'}  ${name}`)
}
if (options.json) console.log(JSON.stringify(results))
if (Object.values(results).includes(false)) process.exitCode = 1

async function runTask(name: string): Promise<{ passed: boolean; output: string }> {
  const args = ['run', name, '--output-logs=errors-only', '--log-order=grouped', '--log-prefix=none']
  const child = spawn('turbo', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text))
  const [code] = await once(child, 'close')
  return { passed: code === 0, output }
}
