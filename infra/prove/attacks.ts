import type { Attack } from './attack.ts'
import { cluster } from './attacks/cluster.ts'
import { freeze } from './attacks/freeze.ts'
import { kill } from './attacks/kill.ts'
import { malformed } from './attacks/malformed.ts'
import { postgres } from './attacks/postgres.ts'
import { release } from './attacks/release.ts'
import { roll } from './attacks/roll.ts'
import { scale } from './attacks/scale.ts'
import { sentinel } from './attacks/sentinel.ts'
import { slow } from './attacks/slow.ts'
import { workerKill } from './attacks/worker-kill.ts'

/** Every row, in the order of the table. */
export const attacks: readonly Attack[] = [
  kill,
  roll,
  release,
  scale,
  freeze,
  sentinel,
  cluster,
  postgres,
  workerKill,
  slow,
  malformed,
]
