/** `prisma generate`, run where nothing may be downloaded and Prisma Studio is not installed. */
import { createRequire, registerHooks } from 'node:module'

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

process.argv.splice(2, Infinity, 'generate')
createRequire(import.meta.url)('prisma/build/index.js')
