import { sortImports } from './edit-source.ts'

const IMPORTS = [/^import .*'(?:@repo\/session|\.\/signed-in\.ts)'\n/gm, ''] as const

/** What is found in a template with a session, and what stands there without one. */
const CUTS: Record<string, (readonly [found: RegExp, instead: string])[]> = {
  'src/app.ts': [
    IMPORTS,
    [/, sessions(?= \})/g, ''],
    [/^ {2}await app\.register\(session, .*?\n {2}\}\)\n/ms, ''],
  ],
  'src/env.ts': [
    IMPORTS,
    [/ \.\.\.sessionEnv,/, ''],
    [/(?:this app|the HTTP process)(?= reads)/, 'this app'],
  ],
  'src/resources.ts': [IMPORTS, [/^.*sessions(?:: | = ).*\n/gm, ''], [/ sessions,/, '']],
  'src/domain/items.ts': [
    [/(?:^ {2}|, )userId: string(?:,\n|(?=[,)]))/gm, ''],
    [/\n {4}where: \{ userId \},\n {3}(?= )/, ''],
    [/, userId(?= \})|\buserId, /g, ''],
    [/ of a user,/, ','],
  ],
  'src/routes/items.ts': [
    IMPORTS,
    [/'user'/g, "'public'"],
    [/, \.\.\.problemResponses\(SignedOut\)/g, ''],
    [/SignedOut, /g, ''],
    [/, currentUser\(request\)\.id/g, ''],
    [/async \(request\)(?= => \(\{ items)/, 'async ()'],
    // What is shorter now, the formatter writes on one line.
    [/\s+(?=summary: 'Add an item')/, ' '],
    [/'My newest items'/, "'The newest items'"],
    [
      /The items of the user who is signed in\./,
      'Items that everyone may read and add. The access `user` needs sessions: without them the service does not start.',
    ],
  ],
  'src/start-jobs.ts': [
    [/\bWorkerEnv\b/g, 'Env'],
    [/\.\/worker-env\.ts/, './env.ts'],
  ],
  'src/worker.ts': [
    [/\bworkerEnv\b/g, 'envSchema'],
    [/\.\/worker-env\.ts/, './env.ts'],
  ],
  'test/server.test.ts': [
    IMPORTS,
    [/^test\("somebody else's .*?\n\}\)\n\n/ms, ''],
    [/^ {2}const ada = .*\n/gm, ''],
    [/\bada\.request/g, 'service.request'],
  ],
  'test/worker.test.ts': [[/, 'somebody'/g, '']],
  'schema.prisma': [
    [/^ {2}userId .*\n/m, ''],
    [/^ {2}@@index\(\[userId, .*\n/m, ''],
  ],
  'migrations/20260101000000_any_name/migration.sql': [
    [/^ {4}"user_id" .*\n/m, ''],
    [/\n-- CreateIndex\n.*\n/, ''],
  ],
}

/** The files of a template without its session. @throws when a file no longer has what is cut */
export function cutSession(files: ReadonlyMap<string, string>): Map<string, string> {
  const left = [...files].map(([path, text]) => {
    const cut = (CUTS[path] ?? []).reduce((rest, [found, instead]) => {
      if (rest.search(found) === -1) throw new Error(`The template's ${path} has no ${found.source}`)
      return rest.replace(found, instead)
    }, text)
    return [path, sortImports(cut)] as const
  })
  return new Map(left)
}
