import type { ProgramName } from '@repo/testing/programs'
import type { Deployment, DeploymentOptions } from './deployment/open-deployment.ts'
import type { Load, LoadOptions } from './load/start-load.ts'
import type { Random } from './random.ts'

/** One row of the table: what is done to the formation, and what must hold while it is done. */
export interface Attack<Own extends Deployment = Deployment> {
  name: string
  /** What is done, such as `kill -9 of a random process every second`. */
  does: string
  /** What must hold. */
  claim: string
  /** What holds instead behind an ingress that sends requests directly to the services. Only when the row needs the edge. */
  withoutEdge?: string
  /** Part of `pnpm prove --quick`. */
  isQuick?: boolean
  /** Programs that this machine must have, or the row does not run. */
  needs?: readonly ProgramName[]
  /** A library that the row needs: its name, its Debian package, and `find`, which returns its path if it is installed. */
  library?: { name: string; apt: string; find(): string | undefined }
  /** Returns a sentence that says what else this machine lacks, or undefined when it lacks nothing. */
  findObstacle?(): string | undefined
  /** Opens a deployment of the row's own. Without it the row runs on the deployment that rows share. */
  open?(options: DeploymentOptions, resources: AsyncDisposableStack): Promise<Own>
  run(arena: Arena<Own>): Promise<Finding[]>
}

/** What an attack gets to work with. */
export interface Arena<Own extends Deployment = Deployment> {
  deployment: Own
  /** Starts load on the whole formation. The row ends it with `stop()`. */
  startLoad(options?: Partial<LoadOptions>): Promise<Load>
  /** The same seed gives the same choices. */
  random: Random
  /** Chooses between the short and the long form of the row: `scale(12, 60)` is 12 with `--quick`, otherwise 60. */
  scale(quick: number, full: number): number
  /** Writes a note into the second-by-second record. */
  note(what: string): void
}

/** One value that was counted or measured. */
export interface Finding {
  what: string
  found: number | string
  /** The required value, in words. Undefined when the value is only reported. */
  limit?: string
  holds: boolean
}

/** Holds when the count is 0. */
export function none(what: string, found: number): Finding {
  return { what, found, limit: 'none', holds: found === 0 }
}

export function atMost(what: string, found: number, limit: number): Finding {
  return { what, found, limit: `at most ${limit}`, holds: found <= limit }
}

/** Also for the number of requests: a row without load proves nothing. */
export function atLeast(what: string, found: number, limit: number): Finding {
  return { what, found, limit: `at least ${limit}`, holds: found >= limit }
}

/** A value that is only reported: it always holds. */
export function told(what: string, found: number | string): Finding {
  return { what, found, holds: true }
}
