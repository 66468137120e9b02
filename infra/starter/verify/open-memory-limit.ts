import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pollUntil } from '@repo/testing/poll-until'

/** A control group: what its processes take together is bounded, and the kernel kills who takes more. */
export interface MemoryLimit extends AsyncDisposable {
  /** Whoever writes `0` into this file is in it from then on, and its children are. */
  readonly door: string
  /** Where programs look for it, and so learn what they may have: Node gives its heap a part of that. */
  readonly mount: { from: string; to: string }
}

const ROOT = '/sys/fs/cgroup'

/**
 * As an engine makes it for a container. Version 2 or 1, whichever the machine has.
 *
 * @returns undefined on a machine whose groups are not ours to make, as in a container
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
export async function openMemoryLimit(mebibytes: number): Promise<MemoryLimit | undefined> {
  const isVersion2 = existsSync(join(ROOT, 'cgroup.controllers'))
  const parent = isVersion2 ? ROOT : join(ROOT, 'memory')
  const folder = join(parent, `nonstick-${randomUUID()}`)
  const file = join(folder, isVersion2 ? 'memory.max' : 'memory.limit_in_bytes')
  const bytes = String(mebibytes * 1024 * 1024)
  try {
    if (isVersion2) await writeFile(join(ROOT, 'cgroup.subtree_control'), '+memory')
    await mkdir(folder)
    await writeFile(file, bytes)
    if ((await readFile(file, 'utf8')).trim() !== bytes) return undefined
  } catch {
    await rmdir(folder).catch(() => {})
    return undefined
  }
  const isGone = (): Promise<boolean> =>
    rmdir(folder).then(
      () => true,
      () => false,
    )
  return {
    door: join(folder, 'cgroup.procs'),
    mount: { from: folder, to: parent },
    // The kernel takes a moment to see that the last of them has ended.
    [Symbol.asyncDispose]: () => pollUntil('its control group is gone', isGone),
  }
}
