import type { Static, TObject } from 'typebox'
import { EnvironmentError, parseEnv } from './parse-env.ts'

/** `EX_CONFIG` of sysexits.h: a supervisor can tell a wrong environment, which no restart mends, from a crash. */
const EX_CONFIG = 78

/**
 * The first line of a process's entry file: its environment as typed, frozen values.
 * A wrong environment ends the process with code 78 and one line per variable on stderr, none with a value.
 *
 * @see parseEnv for how texts become values
 */
export function loadEnv<S extends TObject>(
  schema: S,
  source: Record<string, string | undefined>,
): Readonly<Static<S>> {
  try {
    return parseEnv(schema, source)
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(EX_CONFIG)
  }
}
