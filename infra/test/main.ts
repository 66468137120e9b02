import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { waitForTree } from '../generator/lock-tree.ts'
import { dropDatabases } from '@repo/testing/create-database'
import { pollUntil } from '@repo/testing/poll-until'
import { findAbsent, programs, type ProgramName } from '@repo/testing/programs'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import { forgetPostgresVariables } from '../environment.ts'
import { describeAbsent } from './absent.ts'
import { isTemplate, listMembers, listTests, root, type Member } from './members.ts'
import { countSkipped, readReport, type Result } from './read-report.ts'
import { runTurbo } from './run-turbo.ts'

const help = `pnpm test [word...] [--file word] [--json]
pnpm test:long [word...] [--file word] [--json]

Tests every member of the workspace, or those whose name contains one of the words, as "session".
A real Postgres runs for it, DATABASE_URL if that is set, and Redis where the machine has one
(SESSION_STORE_URL if set). Tests that passed are not run again until something they depend on changes (turbo's cache).
The generator's templates are tested only by their name, as "templates".

  :long    only tests that take minutes (processes are killed, servers freeze, time passes); the same as --long
  --file   only test files whose path contains the word, as "accounts --file sign-in"
  --json   ends with one line of JSON

Ends with "N passed, N failed", and fails when a test failed, a report is missing, or nothing ran.
`

forgetPostgresVariables()
const { options, positionals } = readArguments()
if (options.help) {
  console.log(help)
  process.exit()
}
await waitForTree(root)
const words = [...positionals, ...options.filter]
const isAsked = ({ folder }: Member): boolean => {
  const { file = '', long } = options
  if ((file || long) && !listTests(folder, { long }).some((path) => path.includes(file))) return false
  if (long) return true
  // Each service that is made of a template has the template's tests.
  return words.length > 0 || !isTemplate(folder)
}
const members = listMembers(words).filter(isAsked)
if (members.length === 0) {
  const asked = [
    words.length > 0 && ` whose name contains ${words.join(' or ')}`,
    options.file && ` with a test file whose path contains ${options.file}`,
  ]
  console.error(`There is no member${asked.filter(Boolean).join('')}. There are:`)
  for (const { folder } of listMembers()) console.error(`  ${folder}`)
  process.exit(1)
}
process.exitCode = (await testMembers()) ? 0 : 1

function readArguments() {
  const flag = { type: 'boolean', default: false } as const
  const filter = { type: 'string', multiple: true, default: [] as string[] } as const
  try {
    const flags = { filter, file: { type: 'string' } as const, long: flag, json: flag, help: flag }
    const { values, positionals } = parseArgs({ allowPositionals: true, options: flags })
    return { options: values, positionals }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`)
    process.exit(1)
  }
}

async function testMembers(): Promise<boolean> {
  const startedAt = Date.now()
  // Otherwise the reports of an earlier run would be counted.
  for (const { report } of members) await rm(report, { force: true })
  await using resources = new AsyncDisposableStack()
  // Long tests attack processes and measure, so one member runs at a time.
  const pace = { atOnce: options.long ? 1 : 3, file: options.file }
  const turbo = resources.use(runTurbo(members, await startServices(resources), pace))
  // Ctrl-C reaches only this process. It stops turbo first, and then the servers.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void turbo.stop())

  const results: Result[] = []
  const waiting = new Set(members)
  await pollUntil('every member has reported', () => collect(waiting, results, startedAt, turbo), {
    deadlineMs: Infinity,
    everyMs: 200,
  })
  const { code } = await turbo.exited
  return sum(results, [...waiting], code === 0)
}

/** Starts the backing services, once for all members. Resolves to the environment variables for the members. */
async function startServices(resources: AsyncDisposableStack): Promise<Record<string, string | undefined>> {
  // Tests start hundreds of processes of the same few programs.
  const env: Record<string, string | undefined> = { NODE_COMPILE_CACHE: join(root, '.dev/compile-cache') }
  process.env.TEST_RUN_ID = randomBytes(4).toString('hex')
  if (process.env.DATABASE_URL) resources.defer(dropDatabases)
  else env.DATABASE_URL = resources.use(await startPostgres()).url
  if (!process.env.SESSION_STORE_URL) {
    const redis = await startRedis()
    if (redis) env.SESSION_STORE_URL = resources.use(redis).url
  }
  // Part of turbo's cache key: tests that were skipped without a server must run once the server is installed.
  const absent = findAbsent()
  env.TEST_SERVERS = Object.keys(programs)
    .filter((name) => !absent.includes(name as ProgramName))
    .join(' ')
  if (options.long) env.TEST_LONG = 'true'
  return env
}

/** Prints each member as its report appears. True when no more reports can come. */
async function collect(
  waiting: Set<Member>,
  results: Result[],
  startedAt: number,
  turbo: { isRunning: boolean },
): Promise<boolean> {
  const isLast = !turbo.isRunning
  for (const member of waiting) {
    const result = await readReport(member.folder, member.report, startedAt)
    if (!result) continue
    waiting.delete(member)
    results.push(result)
    const counts = [`${result.passed} passed`]
    if (result.failed > 0) counts.push(`${result.failed} FAILED`)
    const skipped = countSkipped(result)
    if (skipped > 0) counts.push(`${skipped} skipped`)
    if (result.flaky.length > 0) counts.push(`${result.flaky.length} flaky`)
    console.log(`  ${member.folder.padEnd(20)} ${counts.join(', ')}${result.isCached ? ' (unchanged)' : ''}`)
  }
  return isLast || waiting.size === 0
}

function sum(results: Result[], missing: Member[], turboIsContent: boolean): boolean {
  const passed = results.reduce((total, result) => total + result.passed, 0)
  const skipped = results.flatMap(({ folder, skipped }) => skipped.map((name) => `${folder}: ${name}`))
  const flaky = results.flatMap(({ folder, flaky }) => flaky.map((name) => `${folder}: ${name}`))
  let failed = results.reduce((total, result) => total + result.failed, 0) + missing.length
  for (const { folder } of missing) console.log(`  ${folder.padEnd(20)} FAILED: it left no report`)
  if (failed === 0 && !turboIsContent) {
    failed = 1
    console.log('FAILED: every test passed, but a runner ended with an error')
  }
  if (failed + passed === 0) console.log('FAILED: not a single test ran')
  // Also programs without which no test was skipped: without Valkey, its tests run on Redis.
  const absent = findAbsent()
  const lacking: Result['lacking'] = {}
  for (const name of absent) {
    lacking[name] = results.reduce((total, result) => total + (result.lacking[name] ?? 0), 0)
  }
  for (const line of describeAbsent(absent, lacking)) console.log(line)
  for (const name of skipped) console.log(`skipped  ${name}`)
  for (const name of flaky) console.log(`flaky    ${name}`)
  const notRun = results.reduce((total, result) => total + countSkipped(result), 0)
  const counts = `${passed} passed, ${failed} failed${notRun > 0 ? `, ${notRun} skipped` : ''}`
  console.log(
    options.json
      ? JSON.stringify({ passed, failed, absent, lacking, skipped, flaky, members: results })
      : counts,
  )
  return failed === 0 && passed > 0
}
