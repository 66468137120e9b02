import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundle } from './bundle.ts'

// The `build` script of an app. It runs in the app's folder and bundles each of its process types, and the entries that are
// its arguments: one-off processes, which no platform keeps running.
const folder = process.cwd()
const { processes = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
  processes?: Record<string, { entry: string }>
}
await bundle(folder, [...Object.values(processes).map(({ entry }) => entry), ...process.argv.slice(2)])
