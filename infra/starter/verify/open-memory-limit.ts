import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pollUntil } from '@repo/testing/poll-until'

/** A control group that limits the memory of its processes together. Beyond the limit the kernel kills a process. */
export interface MemoryLimit extends AsyncDisposable {
  /** A process that writes `0` into this file joins the group, with its later children. */
  readonly door: string
  /** Mounted where programs look for their limit: Node sizes its heap by it. */
  readonly mount: { from: string; to: string }
}

const ROOT = '/sys/fs/cgroup'

/**
 * Creates a control group as an engine does for a container: version 2 or 1, whichever the machine has.
 *
 * @returns undefined when we may not create control groups, as in a container
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
    // It takes a moment until the kernel has noticed the end of the last process.
    [Symbol.asyncDispose]: () => pollUntil('its control group is gone', isGone),
  }
}
