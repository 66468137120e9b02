import { startPostgres, startRedis } from '@repo/testing'
import { startFormation } from './formation.ts'
import { HEAP_FLAGS, MOST_MB, measureImport } from './measure-import.ts'

// `pnpm test:long [links] [flags]`: runs the large import and prints one line of JSON. `flags` replace the flags of Node
// that the formation gives. Exit code 1 when a process used too much memory.

const links = Number(process.argv[2] ?? 200_000)
const flags = process.argv[3] ?? HEAP_FLAGS

await using services = new AsyncDisposableStack()
process.env['DATABASE_URL'] = services.use(await startPostgres()).url
const redis = await startRedis()
if (redis) process.env['SESSION_STORE_URL'] = services.use(redis).url

const house = services.use(
  await startFormation({
    NODE_OPTIONS: flags,
    // The quota is not measured here.
    BOOKMARKS_MAX: `${links}`,
    BOOKMARKS_MAX_BYTES: `${1e9}`,
  }),
)
const measurement = await measureImport(house, links)
console.log(JSON.stringify(measurement))
if (Math.max(...Object.values(measurement.peakMB)) >= MOST_MB) process.exitCode = 1
