import { existsSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'

/** The part of turbo.json that is read here. https://turborepo.dev/docs/reference/configuration */
interface TurboConfig {
  tasks?: Record<string, { inputs?: string[]; dependsOn?: string[]; cache?: boolean }>
}

/**
 * The apps that a member's tests name, and so may start, but whose files turbo does not hash for those tests. When such an app
 * breaks, turbo still takes the passing report of the tests from its cache.
 *
 * @param member its folder, relative to the root, and its name
 * @param tests the contents of its test files
 * @param apps the names of the folders in apps/
 * @returns the names of those apps
 */
export function findUnhashedApps(
  root: string,
  member: { folder: string; name: string },
  tests: readonly string[],
  apps: readonly string[],
): string[] {
  const { test, [`${member.name}#test`]: own } = readTasks(root)
  if (own?.cache === false) return []
  const more = readTasks(join(root, member.folder)).test
  if (more?.cache === false) return []
  const inputs = [...(test?.inputs ?? []), ...(more?.inputs ?? [])]
  const isKnown = (app: string): boolean =>
    inputs.some((input) => input.startsWith(`$TURBO_ROOT$/apps/${app}/`)) ||
    more?.dependsOn?.includes(`@repo/${app}#sources`) === true
  const named = new Set(tests.flatMap((text) => namedApps(text, member.folder)))
  return apps.filter((app) => named.has(app) && member.folder !== join('apps', app) && !isKnown(app))
}

/** The names after `../` or `apps/` in a test file: both lead to the folder of another app. */
function namedApps(text: string, folder: string): string[] {
  // In a package `apps/orders` may be just an example, so only a relative path to it counts.
  const isApp = [join('apps', sep), join('infra/generator/templates', sep)].some((parent) =>
    folder.startsWith(parent),
  )
  const way = isApp ? /(?:\.\.|\bapps)\/([\w-]+)/g : /\.\.\/apps\/([\w-]+)/g
  return [...text.matchAll(way)].map(([, app]) => app!)
}

function readTasks(folder: string): NonNullable<TurboConfig['tasks']> {
  const file = join(folder, 'turbo.json')
  if (!existsSync(file)) return {}
  return (JSON.parse(readFileSync(file, 'utf8')) as TurboConfig).tasks ?? {}
}
