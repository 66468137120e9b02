import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { carryFiles } from './carry-files.ts'

/** Where the build stage puts the bundle of a process type, from the root of the repository on. */
export function bundleOf({ app, entry }: { app: string; entry: string }): string {
  return join(app, 'dist', bundleName(entry))
}

/**
 * Bundles the entries of an app into one folder, its `dist`, which is then all that its processes need besides Node: nothing is
 * looked up in a `node_modules`, and nothing is compiled when they start.
 *
 * Whatever the bundler warns of stops the build: it would be an error at run time.
 *
 * @param entries from the folder of the app on, as `src/server.ts`
 */
export async function bundle(
  folder: string,
  entries: readonly string[],
  target = join(folder, 'dist'),
): Promise<void> {
  const names = new Map(entries.map((entry) => [bundleName(entry).replace(/\.js$/, ''), `./${entry}`]))
  await using bundler = await rolldown({
    cwd: folder,
    input: Object.fromEntries(names),
    platform: 'node',
    // What cosmiconfig would read a configuration in TypeScript with, and nobody has one: no compiler is in a bundle.
    external: ['typescript'],
    plugins: [carryFiles(folder, target)],
    onLog(level, log) {
      if (level === 'warn') throw new Error(log.message)
    },
  })
  await bundler.write({
    dir: target,
    format: 'esm',
    sourcemap: true,
    // Its own source is in the repository, and every byte of a map is read when an error is logged.
    sourcemapExcludeSources: true,
    // A module that must be first, as one that sets V8's flags, is first in the bundle too.
    strictExecutionOrder: true,
    // One beside the other: a file that is carried along is found from each of them in the same way.
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
  })
}

function bundleName(entry: string): string {
  return entry.replace(/^src\//, '').replace(/\.ts$/, '.js')
}
