import type { Attack } from './attack.ts'
import { freeze } from './attacks/freeze.ts'
import { kill } from './attacks/kill.ts'
import { roll } from './attacks/roll.ts'
import { workerKill } from './attacks/worker-kill.ts'

/** Every row, in the order of the table. */
export const attacks: readonly Attack[] = [kill, roll, freeze, workerKill]
