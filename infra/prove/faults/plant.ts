import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = join(import.meta.dirname, '../../..')

/**
 * Plants a mistake: a process that loads `file` gets it with `right` replaced by `wrong`.
 *
 * @param file path from the root of the repository
 * @throws in that process when `file` does not contain `right`: no attack could find a mistake that was not planted
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
