import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Has pnpm take note of a member that has come or gone, so that its next command finds nothing to install. There is
 * nothing to download, and no version in the lockfile that was not there before: so the network is not asked.
 *
 * @param mayTidyUp in the lockfile, because a member that went may have been the last to use something
 */
export async function tellPnpm(root: string, { mayTidyUp = false } = {}): Promise<void> {
  const pnpm = process.env.npm_execpath
  // Without pnpm around us, its next command does this by itself.
  if (!pnpm?.includes('pnpm')) return
  const args = [
    'install',
    '--offline',
    '--trust-lockfile',
    mayTidyUp ? '--no-frozen-lockfile' : '--frozen-lockfile',
    '--silent',
  ]
  const [program, ...rest] = /\.[cm]?js$/.test(pnpm) ? [process.execPath, pnpm, ...args] : [pnpm, ...args]
  await promisify(execFile)(program!, rest, { cwd: root }).catch(() => {
    console.log(
      'pnpm could not take note of it offline; its next command will, and needs the network for it.',
    )
  })
}
