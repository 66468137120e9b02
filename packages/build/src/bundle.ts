import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { carryFiles } from './carry-files.ts'

/** The path of the bundle of a process type, relative to the root of the repository. */
export function bundleOf({ app, entry }: { app: string; entry: string }): string {
  return join(app, 'dist', bundleName(entry))
}

/**
 * Bundles the entries of an app into one folder, by default its `dist`. Its processes then need only this folder and Node:
 * they need no `node_modules`, and nothing is compiled when they start.
 *
 * Every warning of the bundler stops the build: it would be an error at run time.
 *
 * @param entries relative to the folder of the app, as `src/server.ts`
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
    // cosmiconfig needs it only for a configuration in TypeScript, and there is none: a bundle has no compiler.
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
    // The source is in the repository, and every byte of a map is read when an error is logged.
    sourcemapExcludeSources: true,
    // A module that must run first, such as one that sets V8's flags, runs first in the bundle too.
    strictExecutionOrder: true,
    // All in one folder: each of them finds a copied file by the same relative path.
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
  })
}

function bundleName(entry: string): string {
  return entry.replace(/^src\//, '').replace(/\.ts$/, '.js')
}
