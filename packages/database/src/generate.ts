/**
 * Runs `prisma generate` for the schema.prisma of a folder, by default the current one, without a download and without
 * Prisma Studio: `node ../../packages/database/src/generate.ts`
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { join, relative, resolve } from 'node:path'

const leftOut = ['@prisma/dev', '@prisma/studio-core']

// Prisma's command line always loads Studio and the local Prisma server. They are 90 MB, so the workspace does not install
// them. `generate` never calls them, and gets another module in their place.
registerHooks({
  resolve: (specifier, context, next) =>
    next(leftOut.some((name) => specifier.startsWith(name)) ? 'node:constants' : specifier, context),
})

// With any file here, Prisma downloads no engine, and `generate` does not use it. Only for `generate`: with this,
// `prisma migrate dev` reports success and writes nothing.
// oxlint-disable-next-line node/no-process-env
process.env['PRISMA_SCHEMA_ENGINE_BINARY'] = import.meta.filename

// Prisma rewrites every file, even if nothing has changed. So it writes beside a copy of the schema, which no process
// watches, and only changed files are moved.
const member = resolve(process.argv[2] ?? '.')
mkdirSync(join(member, 'node_modules'), { recursive: true })
const copy = mkdtempSync(join(member, 'node_modules/.generate-'))
copyFileSync(join(member, 'schema.prisma'), join(copy, 'schema.prisma'))
// Prisma ends the process by itself.
process.once('exit', (code) => {
  if (code === 0) moveDifferences(join(copy, 'src/generated'), join(member, 'src/generated'))
  rmSync(copy, { recursive: true })
})

const schema = relative(process.cwd(), join(copy, 'schema.prisma'))
process.argv.splice(2, Infinity, 'generate', '--schema', schema)
createRequire(import.meta.url)('prisma/build/index.js')

/**
 * Makes the folder `to` equal to `from`, and does not touch equal files: `pnpm dev` restarts processes that import a file
 * that was written. Moves files, so both folders must be on one disk.
 */
function moveDifferences(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  const made = readdirSync(from, { withFileTypes: true })
  for (const entry of made) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    const before = statSync(target, { throwIfNoEntry: false })
    if (before && before.isDirectory() !== entry.isDirectory()) rmSync(target, { recursive: true })
    if (entry.isDirectory()) moveDifferences(source, target)
    // Moved and not written, so that a reader always gets a whole file.
    else if (!before?.isFile() || !readFileSync(source).equals(readFileSync(target)))
      renameSync(source, target)
  }
  // Last, because old files may import these until they are replaced.
  const names = new Set(made.map(({ name }) => name))
  for (const name of readdirSync(to)) if (!names.has(name)) rmSync(join(to, name), { recursive: true })
}
