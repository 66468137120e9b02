import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Everything below a folder that is no folder itself, from the folder on. No symbolic link is followed: since Node 26
 * `readdir` with `recursive` and `withFileTypes` follows them, out of an image into this machine, and out of an app into its packages.
 */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const below = entries.map(async (entry) => {
    if (!entry.isDirectory()) return [entry.name]
    return (await listFiles(join(folder, entry.name))).map((path) => join(entry.name, path))
  })
  return (await Promise.all(below)).flat()
}
