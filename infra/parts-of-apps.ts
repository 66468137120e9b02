import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = resolve(import.meta.dirname, '..')

/**
 * Imports the modules that apps have for a command of infra: `apps/<app>/<file>`, sorted by path.
 *
 * @param file may be a pattern, as `test/prove/attacks/*.ts`
 */
export async function partsOfApps<T>(file: string): Promise<T[]> {
  const paths = globSync(`apps/*/${file}`, { cwd: ROOT }).sort()
  return Promise.all(paths.map((path) => import(pathToFileURL(join(ROOT, path)).href) as Promise<T>))
}
