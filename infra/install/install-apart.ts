import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Installs the packages that only this folder needs, from its own lockfile, unless they are installed. So a clone does not download
 * them until a command needs them.
 *
 * @throws when the installation fails; pnpm has printed why
 */
export function installApart(folder: string): void {
  if (!existsSync(join(folder, 'package.json')) || existsSync(join(folder, 'node_modules'))) return
  const args = ['pnpm', 'install', '--dir', folder, '--ignore-workspace', '--frozen-lockfile']
  const { status } = spawnSync('npx', args, { stdio: 'inherit' })
  if (status !== 0) throw new Error(`What ${folder} needs could not be installed.`)
}
