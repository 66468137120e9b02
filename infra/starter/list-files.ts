import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The paths of everything below a folder that is not a folder, relative to it. Follows no symbolic links: since Node 26,
 * `readdir` with `recursive` and `withFileTypes` follows them, from an image into this machine, and from an app into its packages.
 */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const below = entries.map(async (entry) => {
    if (!entry.isDirectory()) return [entry.name]
    return (await listFiles(join(folder, entry.name))).map((path) => join(entry.name, path))
  })
  return (await Promise.all(below)).flat()
}
