import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Otherwise } from './replica.ts'

/** The states that the disks of a process can be in. */
export const badDisks = ['full', 'read-only'] as const
export type BadDisk = (typeof badDisks)[number]

// The process has a mount namespace of its own: other processes do not see its mounts, and they end with it. Each script
// exits with 70 when it can still write.
const SCRIPTS: Record<BadDisk, string> = {
  full: `
    mount -t tmpfs -o size=64k,mode=1777 full "$TMPDIR" || exit
    cat /dev/zero >"$TMPDIR/full" 2>/dev/null
    if (echo x >"$TMPDIR/more") 2>/dev/null; then exit 70; fi
    exec "$@"`,
  'read-only': `
    while read -r _ folder _; do mount -o remount,bind,ro "$folder" 2>/dev/null; done </proc/mounts
    if (echo x >"$TMPDIR/more") 2>/dev/null; then exit 70; fi
    exec "$@"`,
}

/**
 * How to start a process on such a disk. The full disk is its folder for temporary files; processes write nowhere else.
 *
 * @param folder for temporary files. It must be empty: the full disk is mounted over it
 */
export function onDisk(disk: BadDisk, folder: string): Required<Otherwise> {
  const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount']
  return {
    env: { PATH: process.env.PATH, TMPDIR: folder },
    via: ['unshare', ...namespace, 'sh', '-c', SCRIPTS[disk], 'sh'],
  }
}

/** Why this machine cannot mount such disks (most containers cannot). Undefined when it can. */
export function findDiskObstacle(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'nonstick-disk-'))
  try {
    for (const disk of badDisks) {
      const { env, via } = onDisk(disk, folder)
      const [command, ...args] = [...via, 'true']
      execFileSync(command!, args, { env: env as NodeJS.ProcessEnv, stdio: 'pipe' })
    }
    return undefined
  } catch (error) {
    return `this machine gives no process a bad disk: ${(error as Error).message.trim()}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}
