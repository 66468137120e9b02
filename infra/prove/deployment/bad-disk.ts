import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import type { Otherwise } from './place.ts'

/** What may be wrong with every disk that a process sees. */
export const badDisks = ['full', 'read-only'] as const
export type BadDisk = (typeof badDisks)[number]

// In a namespace of its own the process sees other mounts than everybody else, and they end with it. Neither script goes on
// when the disk is better than it should be.
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

/** How to start a process on such a disk. When it is full, that is the folder for temporary files: it may write nowhere else. */
export function onDisk(disk: BadDisk): Required<Otherwise> {
  const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount']
  return {
    env: { PATH: process.env.PATH, TMPDIR: tmpdir() },
    via: ['unshare', ...namespace, 'sh', '-c', SCRIPTS[disk], 'sh'],
  }
}

/** Why this machine cannot give a process such disks, as containers mostly cannot; undefined when it can. */
export function findDiskObstacle(): string | undefined {
  for (const disk of badDisks) {
    const { env, via } = onDisk(disk)
    const [command, ...args] = [...via, 'true']
    try {
      execFileSync(command!, args, { env: env as NodeJS.ProcessEnv, stdio: 'pipe' })
    } catch (error) {
      return `this machine gives no process a ${disk} disk: ${(error as Error).message.trim()}`
    }
  }
  return undefined
}
