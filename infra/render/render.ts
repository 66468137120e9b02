import type { Formation } from '../formation.ts'
import { renderProcfile } from './procfile.ts'

/** Every file that is derived from the formation, by its path from the root on. */
export function render(_root: string, formation: Formation): Map<string, string> {
  return new Map([['Procfile', renderProcfile(formation)]])
}
