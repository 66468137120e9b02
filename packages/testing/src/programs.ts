import { existsSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'

declare module 'vitest' {
  interface TaskMeta {
    /** The program for want of which the test was skipped. It stands in the report, and `pnpm test` counts by it. */
    lacks?: ProgramName
  }
}

/** A program that tests start, or that something is tried with, and that not every machine has. */
export interface Program {
  /** What it is called where it is installed. One of them is enough. */
  names: readonly string[]
  /** What it serves, as the end of a sentence: "31 tests of ... were skipped". */
  tests: string
  /** What is so without it though no test is skipped, as a sentence without its full stop. */
  without: string
  /** Debian's package, and what Homebrew is asked for. */
  apt: string
  brew: string
}

/** What Debian, others and Google call the browser that they bring. */
export const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'] as const

/** By the names that tests call them. */
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
  pgDump: {
    // Beside the server that is as old.
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

/** Of all these programs the ones that this machine lacks. */
export function findAbsent(): ProgramName[] {
  return (Object.keys(programs) as ProgramName[]).filter((name) => !findProgram(...programs[name].names))
}

/** Where this machine has one of these programs: the first name it has, along PATH. A path stands for itself. */
export function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return names
    .flatMap((name) => folders.map((folder) => resolve(folder, name)))
    .find((path) => existsSync(path))
}

/**
 * Options of a test, or of a `describe` with all its tests, that starts this program: they are skipped on a machine
 * without it. Without a name nothing is needed, and nothing skipped.
 *
 * `test('a list survives', needs('redis'), async () => {})`
 */
export function needs(name?: ProgramName): { skip: boolean; meta: { lacks?: ProgramName } } {
  const isThere = name === undefined || findProgram(...programs[name].names) !== undefined
  return isThere ? { skip: false, meta: {} } : { skip: true, meta: { lacks: name } }
}
