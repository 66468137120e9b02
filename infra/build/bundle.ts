import { join } from 'node:path'
import type { ProcessType } from '../formation.ts'

/** Where the build stage puts the bundle of a process type, from the root of the repository on. */
export function bundleOf({ app, entry }: Pick<ProcessType, 'app' | 'entry'>): string {
  return join(app, 'dist', entry.replace(/^src\//, '').replace(/\.ts$/, '.js'))
}
