import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Installs what only this folder needs, from its own lockfile, the first time that it is asked for: a clone stays light.
 *
 * @throws when that fails; the installer has said why
 */
export function installApart(folder: string): void {
  if (!existsSync(join(folder, 'package.json')) || existsSync(join(folder, 'node_modules'))) return
  const args = ['pnpm', 'install', '--dir', folder, '--ignore-workspace', '--frozen-lockfile']
  const { status } = spawnSync('npx', args, { stdio: 'inherit' })
  if (status !== 0) throw new Error(`What ${folder} needs could not be installed.`)
}
