import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

// `nobody`, whom every system has: Postgres looks up the name of who runs it.
const USER = 65_534

// A user namespace in which root is that user: files stay root's, so this works in root's own home folder.
const NAMESPACE = `unshare --user --map-user=${USER} --map-group=${USER}`.split(' ')

// Containers forbid namespaces to their root, but let it become another user. The one capability it keeps lets that
// user enter folders that are root's own.
const OTHER_USER =
  `setpriv --reuid=${USER} --regid=${USER} --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override`.split(
    ' ',
  )

/**
 * What to write before a command that refuses to run as root, as Postgres does. Nothing when we are not root.
 *
 * @throws when this machine lets root be nobody else.
 */
export async function asOrdinaryUser(): Promise<string[]> {
  if (process.getuid?.() !== 0) return []
  const reasons: string[] = []
  for (const prefix of [NAMESPACE, OTHER_USER]) {
    const [command, ...args] = [...prefix, 'true']
    try {
      await run(command!, args)
      return prefix
    } catch (error) {
      reasons.push((error as Error).message.trim())
    }
  }
  throw new Error(
    `Postgres refuses to run as root, and root cannot be another user here. Run the command as an ordinary user, ` +
      `or set DATABASE_URL to a Postgres that runs already.\n${reasons.join('\n')}`,
  )
}
