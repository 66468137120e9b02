import type { ProgramName } from '@repo/testing/programs'
import type { Deployment, DeploymentOptions } from './deployment/open-deployment.ts'
import type { Load, LoadOptions } from './load/start-load.ts'
import type { Random } from './random.ts'

/** One row of the table: what is done to the formation, and what must hold meanwhile. */
export interface Attack<Own extends Deployment = Deployment> {
  name: string
  /** What is done, as `kill -9 of a random process every second`. */
  does: string
  /** What must hold, for a sceptic. */
  claim: string
  /** What of that is the edge's doing, and is otherwise where an ingress goes straight to the services. */
  withoutEdge?: string
  /** Part of `pnpm prove --quick`. */
  isQuick?: boolean
  /** Programs of this machine without which it cannot run. */
  needs?: readonly ProgramName[]
  /** A library without which it cannot run, Debian's package of it, and where it is. */
  library?: { name: string; apt: string; find(): string | undefined }
  /** What else this machine lacks for it, in a sentence; undefined when nothing. */
  findObstacle?(): string | undefined
  /** Opens what this row runs on, when that is not the deployment which all rows share. */
  open?(options: DeploymentOptions, resources: AsyncDisposableStack): Promise<Own>
  run(arena: Arena<Own>): Promise<Finding[]>
}

/** What an attack works with. */
export interface Arena<Own extends Deployment = Deployment> {
  deployment: Own
  /** Begins the load that the whole formation is under. The row ends it with `stop()`. */
  startLoad(options?: Partial<LoadOptions>): Promise<Load>
  /** Repeats with the seed. */
  random: Random
  /** The shorter and the longer form of the row: `scale(12, 60)` is 12 in `--quick`, else 60. */
  scale(quick: number, full: number): number
  /** Notes what was done on the second-by-second record. */
  note(what: string): void
}

/** One thing that was counted. */
export interface Finding {
  what: string
  found: number | string
  /** What was asked of it; undefined when it is only told. */
  limit?: string
  holds: boolean
}

/** It must not have happened at all. */
export function none(what: string, found: number): Finding {
  return { what, found, limit: 'none', holds: found === 0 }
}

export function atMost(what: string, found: number, limit: number): Finding {
  return { what, found, limit: `at most ${limit}`, holds: found <= limit }
}

/** A row in which nothing happened proves nothing. */
export function atLeast(what: string, found: number, limit: number): Finding {
  return { what, found, limit: `at least ${limit}`, holds: found >= limit }
}

/** For the reader; nothing depends on it. */
export function told(what: string, found: number | string): Finding {
  return { what, found, holds: true }
}
