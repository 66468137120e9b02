import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * Imports what apps bring along to a folder: `apps/<app>/<file>` in it. An app's part of something that is not the app's
 * stands in such a folder, here as in the page or in tests, so that `pnpm retire` takes it away as a whole.
 *
 * @param file may be a pattern, as `attacks/*.ts`
 */
export async function partsOfApps<T>(folder: string, file: string): Promise<T[]> {
  const paths = globSync(`apps/*/${file}`, { cwd: folder }).sort()
  return Promise.all(paths.map((path) => import(pathToFileURL(join(folder, path)).href) as Promise<T>))
}
