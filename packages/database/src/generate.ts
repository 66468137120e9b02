/**
 * `prisma generate` for the schema.prisma of a folder, by default the current one, where nothing may be downloaded and Prisma
 * Studio is not installed: `node ../../packages/database/src/generate.ts`
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { moveDifferences } from './move-differences.ts'

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
