import { existsSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'

declare module 'vitest' {
  interface TaskMeta {
    /** The missing program for which the test was skipped. It is in the report, and `pnpm test` counts by it. */
    lacks?: ProgramName
  }
}

/** A program that tests or other checks start, and that not every machine has. */
export interface Program {
  /** Its names. One of them is enough. */
  names: readonly string[]
  /** The tests that need it, as a part of the sentence "31 tests of ... were skipped". */
  tests: string
  /** The effect of its absence if no test is skipped, as a sentence without its full stop. */
  without: string
  /** Debian's package, and the arguments for Homebrew. */
  apt: string
  brew: string
}

/** The names of the browser in Debian, in other distributions, and from Google. */
export const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'] as const

/** By the names that tests use. */
export const programs = {
  redis: {
    names: ['redis-server', 'valkey-server'],
    tests: 'sessions, limits and faults on Redis',
    without: 'sessions lived in Postgres',
    apt: 'redis-server',
    brew: 'redis',
  },
  valkey: {
    names: ['valkey-server'],
    tests: 'sessions on Valkey',
    without: 'Redis stood for it',
    apt: 'valkey-server',
    brew: 'valkey',
  },
  // keep: memcached
  memcached: {
    names: ['memcached'],
    tests: 'sessions and limits on memcached',
    without: 'nothing of this run asked for it',
    apt: 'memcached',
    brew: 'memcached',
  },
  // /keep
  haproxy: {
    names: ['haproxy'],
    tests: 'the load balancer and its configuration',
    without: 'nothing of this run asked for it',
    apt: 'haproxy',
    brew: 'haproxy',
  },
  chromium: {
    names: CHROMIUM,
    tests: 'the page in a browser',
    without: 'the page was tried in no browser',
    apt: 'chromium',
    brew: '--cask chromium',
  },
  pgbouncer: {
    names: ['pgbouncer', '/usr/sbin/pgbouncer'],
    tests: 'Postgres behind a pooler in transaction mode',
    without: 'nothing of this run asked for it',
    apt: 'pgbouncer',
    brew: 'pgbouncer',
  },
  // keep: mail
  aiosmtpd: {
    names: ['aiosmtpd'],
    tests: 'mails to a mail server, also with TLS',
    without: 'nothing of this run asked for it',
    apt: 'python3-aiosmtpd',
    brew: 'pipx && pipx install aiosmtpd',
  },
  // /keep
  pgDump: {
    // Beside each version of the server, the newest first.
    names: [18, 17, 16, 15, 14].flatMap((version) => [
      `/usr/lib/postgresql/${version}/bin/pg_dump`,
      `/opt/homebrew/opt/postgresql@${version}/bin/pg_dump`,
    ]),
    tests: 'backup and restore',
    without: 'nothing of this run asked for it',
    apt: 'postgresql',
    brew: 'postgresql@18',
  },
  kubectl: {
    names: ['kubectl'],
    tests: 'the overlays of Kubernetes',
    without: 'only the base of Kubernetes was read, and no overlay',
    apt: 'kubernetes-client',
    brew: 'kubernetes-cli',
  },
} as const satisfies Record<string, Program>

export type ProgramName = keyof typeof programs

/** The programs that this machine does not have. */
export function findAbsent(): ProgramName[] {
  return (Object.keys(programs) as ProgramName[]).filter((name) => !findProgram(...programs[name].names))
}

/** The path of the first of these programs that PATH has; undefined if there is none. A name may be a path. */
export function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return names
    .flatMap((name) => folders.map((folder) => resolve(folder, name)))
    .find((path) => existsSync(path))
}

/**
 * Returns options of a test or a `describe` that needs this program. It is skipped on a machine without the program. Without
 * a name, nothing is skipped.
 *
 * `test('a list survives', needs('redis'), async () => {})`
 */
export function needs(name?: ProgramName): { skip: boolean; meta: { lacks?: ProgramName } } {
  const isThere = name === undefined || findProgram(...programs[name].names) !== undefined
  return isThere ? { skip: false, meta: {} } : { skip: true, meta: { lacks: name } }
}
