import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { installApart } from '../../install/install-apart.ts'

// Each bench is a folder with a main.ts. Packages that only a bench needs, such as the peers for comparison, are installed
// into its folder from its own lockfile when it first runs, so that a clone stays small.
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
installApart(folder)
const { status } = spawnSync(process.execPath, [join(folder, 'main.ts'), ...args], { stdio: 'inherit' })
process.exit(status ?? 1)
