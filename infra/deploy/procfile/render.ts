import { bundleOf } from '@repo/build'
import { directUrlVariableOf, urlVariableOf } from '@repo/database/app-tables'
import { nameOfApp } from '../../databases.ts'
import { frontDoor, heapFlags, type Formation, type ProcessType } from '../../formation.ts'
import type { Platform } from '../render.ts'

export const render: Platform['render'] = (formation) => [['Procfile', renderProcfile(formation)]]

/** One line per process type. Platforms send external requests only to the process type that is named `web`. */
export function renderProcfile(formation: Formation): string {
  const { release, running } = formation
  const door = frontDoor(formation)
  const services = running.filter((type) => type !== door)
  return [
    '# Written by `pnpm infra` from the "processes" in apps/*/package.json. docs/operations.md says how to run it.',
    ...(release.length > 0 ? [`release: ${release.map((type) => startOf(type)).join(' && ')}`] : []),
    ...(door ? [`web: ${commandOf(door)}`] : []),
    ...services.map((type) => `${type.name}: ${commandOf(type)}`),
    '',
  ].join('\n')
}

/**
 * These platforms give all processes the same variables, but each app has a database URL of its own. The shell sets it, and
 * `exec` replaces the shell with Node: otherwise dash would stay the parent, and a signal to it would not reach Node.
 */
function commandOf(type: ProcessType): string {
  if (!type.needs.includes('database')) return startOf(type)
  const [url, direct] = [urlVariableOf, directUrlVariableOf].map((variableOf) => variableOf(nameOfApp(type)))
  return `exec env DATABASE_URL=$${url} DATABASE_DIRECT_URL=$${direct} ${startOf(type)}`
}

function startOf(type: ProcessType): string {
  return `node --enable-source-maps ${heapFlags(type).join(' ')} ${bundleOf(type)}`
}
