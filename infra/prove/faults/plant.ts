import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = join(import.meta.dirname, '../../..')

/**
 * Plants a mistake: the process that loads `file` gets it with `right` replaced by `wrong`.
 *
 * @param file from the root of the repository on
 * @throws in that process when `right` is not there (any more): a mistake that was not made could not be found either.
 */
export function plant(file: string, right: string, wrong: string): void {
  const target = pathToFileURL(join(ROOT, file)).href
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== target) return loaded
      const source = String(loaded.source)
      if (!source.includes(right)) throw new Error(`${file} has no ${right}: mend this planted fault`)
      return { ...loaded, source: source.replace(right, () => wrong) }
    },
  })
}
