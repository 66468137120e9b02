import { readdirSync, statSync, watch, type FSWatcher } from 'node:fs'
import { join, sep } from 'node:path'

/** Folders that tools write, or that no process imports. */
const SKIPPED = new Set(['node_modules', 'dist', '.git', '.turbo', '.dev'])

/** One save causes several events, and a `git switch` many. They are one batch once no event has come for this long. */
const QUIET_MS = 30

/**
 * Watches folders with everything in them, and calls `onChange` with the paths that changed, in batches. The next batch
 * waits until `onChange` has resolved.
 *
 * It has one watcher for each folder, because `fs.watch` with `recursive` watches each file by its inode on Linux. It would
 * miss the later changes of a file that an editor saves by renaming a new file to its name.
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

  /** Called for a path that has appeared or gone. A new folder is watched, and its files count as changed. */
  function adopt(path: string): void {
    forget(path)
    if (!isFolder(path)) return
    try {
      // Watched before it is read, so that a file that appears in between is reported twice, and not missed.
      look(path)
      for (const name of readdirSync(path)) {
        if (SKIPPED.has(name)) continue
        note(join(path, name))
        adopt(join(path, name))
      }
    } catch {
      // The folder has gone again, which the watcher of its parent reports.
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
