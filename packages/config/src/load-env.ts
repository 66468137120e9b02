import type { Static, TObject } from 'typebox'
import { EnvironmentError, parseEnv } from './parse-env.ts'

/** `EX_CONFIG` of sysexits.h: a supervisor can distinguish a wrong environment, which no restart repairs, from a crash. */
const EX_CONFIG = 78

/**
 * The environment of a process as typed, frozen values. Call it first in the entry file. A wrong environment ends the
 * process with code 78 and one line per variable on stderr, none with a value.
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
