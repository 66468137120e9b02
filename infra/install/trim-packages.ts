import { globSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The largest size of a clone's node_modules. Node itself, Postgres, Prisma and turbo are most of it. */
const BUDGET_MB = 480

/** Parts of packages that nothing here uses. A part that is absent, as in another version, is skipped. */
const DEAD_WEIGHT = [
  // C++ headers, to compile native code.
  'node-*@*/node_modules/node-*/{include,share}',
  // Query compilers for databases that are not Postgres.
  '@prisma+client@*/node_modules/@prisma/client/runtime/*.{cockroachdb,mysql,sqlite,sqlserver}.*',
  // Engines of Prisma's command line, and its Studio: of the command line only `generate` is run, which needs neither.
  'prisma@*/node_modules/prisma/build/{query_compiler_*,schema_engine_bg.wasm,studio.*}',
  // Sources, types and maps of packages that only that command line loads.
  'effect@*/node_modules/effect/{src,dist/dts,dist/**/*.map}',
  '@prisma+client@*/node_modules/@prisma/client/runtime/*.map',
]

/**
 * Removes from an installed `node_modules` what nothing here uses. pnpm's store, from which it was linked, stays complete.
 *
 * @returns the number of bytes that were removed
 */
export function trimPackages(root: string): number {
  const packages = join(root, 'node_modules/.pnpm')
  let bytes = 0
  for (const found of globSync(DEAD_WEIGHT, { cwd: packages })) {
    const path = join(packages, found)
    bytes += sizeOf(path)
    rmSync(path, { recursive: true, force: true })
  }
  return bytes
}

/** The size on disk in bytes, as `du` counts it: a file with several names counts once. */
function sizeOf(path: string, seen = new Set<number>()): number {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat || seen.has(stat.ino)) return 0
  seen.add(stat.ino)
  const names = stat.isDirectory() ? readdirSync(path) : []
  return names.reduce((sum, name) => sum + sizeOf(join(path, name), seen), stat.blocks * 512)
}

function toMb(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20)
}

// Run after every install (`postinstall`), where it only prints the size. With --check it fails above the budget.
if (import.meta.main) {
  const root = resolve(import.meta.dirname, '../..')
  const gone = trimPackages(root)
  const total = sizeOf(join(root, 'node_modules'))
  const without = gone > 0 ? `, without ${toMb(gone)} MB that nothing here can run` : ''
  console.log(`node_modules: ${toMb(total)} of ${BUDGET_MB} MB${without}`)
  if (process.argv.includes('--check') && toMb(total) > BUDGET_MB) process.exitCode = 1
}
