import { readdirSync, statSync, watch, type FSWatcher } from 'node:fs'
import { join, sep } from 'node:path'

/** What tools write there, or nobody imports. */
const SKIPPED = new Set(['node_modules', 'dist', '.git', '.turbo', '.dev'])

/** An editor's save is several events, and a `git switch` many: they are one batch once it is quiet this long. */
const QUIET_MS = 30

/**
 * Watches folders with everything in them, and hands out the paths that changed, in batches: the next batch waits
 * until `onChange` has resolved.
 *
 * It holds one watcher for each folder, because `fs.watch` with `recursive` watches each file by its inode on Linux,
 * and goes blind to a file that an editor saves by renaming a new one into its place.
 */
export function watchFolders(
  folders: readonly string[],
  onChange: (paths: ReadonlySet<string>) => Promise<void>,
): Disposable {
  const watchers = new Map<string, FSWatcher>()
  let changed = new Set<string>()
  let quiet: NodeJS.Timeout | undefined
  let isBusy = false

  function look(folder: string): void {
    const watcher = watch(folder, (event, name) => {
      if (name === null || SKIPPED.has(name)) return
      const path = join(folder, name)
      note(path)
      if (event === 'rename') adopt(path)
    })
    watcher.on('error', () => forget(folder))
    watchers.set(folder, watcher)
  }

  /** What has come to stand here, or has gone: when it is a folder, its files came or went with it. */
  function adopt(path: string): void {
    forget(path)
    if (!isFolder(path)) return
    try {
      // Watched before it is read, so that a file that comes in between is seen twice and not never.
      look(path)
      for (const name of readdirSync(path)) {
        if (SKIPPED.has(name)) continue
        note(join(path, name))
        adopt(join(path, name))
      }
    } catch {
      // It has gone again, which the folder above tells.
      forget(path)
    }
  }

  function forget(path: string): void {
    for (const [folder, watcher] of watchers) {
      if (folder !== path && !folder.startsWith(path + sep)) continue
      watchers.delete(folder)
      watcher.close()
    }
  }

  function note(path: string): void {
    changed.add(path)
    clearTimeout(quiet)
    quiet = setTimeout(() => void flush(), QUIET_MS)
  }

  async function flush(): Promise<void> {
    if (isBusy || changed.size === 0) return
    const batch = changed
    changed = new Set()
    isBusy = true
    await onChange(batch)
    isBusy = false
    void flush()
  }

  for (const folder of folders) adopt(folder)
  clearTimeout(quiet)
  changed.clear()

  return {
    [Symbol.dispose]() {
      clearTimeout(quiet)
      changed.clear()
      for (const watcher of watchers.values()) watcher.close()
    },
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
