/**
 * `prisma generate` for the schema.prisma of a folder, by default the current one, where nothing may be downloaded and Prisma
 * Studio is not installed: `node ../../packages/database/src/generate.ts`
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

// The command line loads Studio and the local Prisma server when it starts, whatever it was asked to do. They weigh
// 90 MB, so the workspace leaves them out; `generate` never calls them, and gets any other module in their place.
registerHooks({
  resolve: (specifier, context, next) =>
    next(leftOut.some((name) => specifier.startsWith(name)) ? 'node:constants' : specifier, context),
})

// Any file will do: Prisma then downloads no engine, and generating asks none. For `generate` alone: with it,
// `prisma migrate dev` says that it succeeded and writes nothing.
// oxlint-disable-next-line node/no-process-env
process.env['PRISMA_SCHEMA_ENGINE_BINARY'] = import.meta.filename

// Prisma writes every file anew, also when nothing has changed. So it writes beside a copy of the schema, where nobody
// watches, and what differs is moved.
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
 * Makes one folder what another one is, and touches nothing that is the same already: `pnpm dev` restarts whoever
 * imports a file that was written. Both are on one disk. What was moved is gone from the first one.
 */
function moveDifferences(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  const made = readdirSync(from, { withFileTypes: true })
  for (const entry of made) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    const before = statSync(target, { throwIfNoEntry: false })
    if (before && before.isDirectory() !== entry.isDirectory()) rmSync(target, { recursive: true })
    if (entry.isDirectory()) moveDifferences(source, target)
    // Moved and not written, so whoever reads it meanwhile reads a whole file.
    else if (!before?.isFile() || !readFileSync(source).equals(readFileSync(target)))
      renameSync(source, target)
  }
  // Last, because what was there before may import it until it is replaced.
  const names = new Set(made.map(({ name }) => name))
  for (const name of readdirSync(to)) if (!names.has(name)) rmSync(join(to, name), { recursive: true })
}
