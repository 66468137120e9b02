import type { Attack } from './attack.ts'
import { kill } from './attacks/kill.ts'
import { roll } from './attacks/roll.ts'

/** Every row, in the order of the table. */
export const attacks: readonly Attack[] = [kill, roll]
