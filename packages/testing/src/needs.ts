import { findProgram } from './find-program.ts'
import { programs, type ProgramName } from './programs.ts'

declare module 'vitest' {
  interface TaskMeta {
    /** The program for want of which the test was skipped. It stands in the report, and `pnpm test` counts by it. */
    lacks?: ProgramName
  }
}

/**
 * Options of a test, or of a `describe` with all its tests, that starts this program: they are skipped on a machine
 * without it. Without a name nothing is needed, and nothing skipped.
 *
 * `test('a list survives', needs('memcached'), async () => {})`
 */
export function needs(name?: ProgramName): { skip: boolean; meta: { lacks?: ProgramName } } {
  const isThere = name === undefined || findProgram(...programs[name].names) !== undefined
  return isThere ? { skip: false, meta: {} } : { skip: true, meta: { lacks: name } }
}
