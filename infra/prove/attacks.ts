import { partsOfApps } from '../parts-of-apps.ts'
import type { Attack } from './attack.ts'
import { browser } from './attacks/browser.ts'
import { cluster } from './attacks/cluster.ts'
import { disk } from './attacks/disk.ts'
import { flood } from './attacks/flood.ts'
import { freeze } from './attacks/freeze.ts'
import { hoard } from './attacks/hoard.ts'
import { kill } from './attacks/kill.ts'
import { malformed } from './attacks/malformed.ts'
import { postgres } from './attacks/postgres.ts'
import { release } from './attacks/release.ts'
import { roll } from './attacks/roll.ts'
import { scale } from './attacks/scale.ts'
import { sentinel } from './attacks/sentinel.ts'
import { slow } from './attacks/slow.ts'

/** Every row, in the order of the table. Rows that need one app are in that app's `test/prove/attacks`, and come last. */
export const attacks: readonly Attack[] = [
  browser,
  kill,
  roll,
  release,
  scale,
  freeze,
  sentinel,
  cluster,
  postgres,
  disk,
  slow,
  malformed,
  flood,
  hoard,
  ...(await partsOfApps<Record<string, Attack>>('test/prove/attacks/*.ts')).flatMap(Object.values),
]
