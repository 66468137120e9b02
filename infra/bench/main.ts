import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

// Each bench is a folder with a main.ts. What only a bench needs, as the peers it compares with, is installed the
// first time it runs: into its folder, from its own lockfile, so that a clone stays light.
const names = readdirSync(import.meta.dirname).filter((name) =>
  existsSync(join(import.meta.dirname, name, 'main.ts')),
)
const [name = '--help', ...args] = process.argv.slice(2)

if (!names.includes(name)) {
  const isAsked = name === '--help'
  console.log(
    `${isAsked ? '' : `There is no bench "${name}".\n`}pnpm bench <${names.join(' | ')}> [--help] [--json]`,
  )
  process.exit(isAsked ? 0 : 1)
}

const folder = join(import.meta.dirname, name)
if (existsSync(join(folder, 'package.json')) && !existsSync(join(folder, 'node_modules'))) {
  run('npx', ['pnpm', 'install', '--dir', folder, '--ignore-workspace', '--frozen-lockfile'])
}
run(process.execPath, [join(folder, 'main.ts'), ...args])

function run(command: string, args: string[]): void {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
