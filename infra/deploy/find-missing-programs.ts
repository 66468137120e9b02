import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, programs } from '@repo/testing/programs'
import type { Finding } from './find-drift.ts'

interface Wanted {
  names: readonly string[]
  without: string
  apt: string
  brew: string
  /** The folder that needs it. The program is not missed in a clone without this folder. */
  room?: string
}

/** Optional programs: `names` are alternatives, `without` says what does not work, `apt` and `brew` are packages. */
const PROGRAMS: readonly Wanted[] = [
  { names: ['git'], without: 'pnpm new and retire cannot tell what is yours', apt: 'git', brew: 'git' },
  { ...programs.redis, without: 'sessions of pnpm dev live in Postgres' },
  // keep: memcached
  { ...programs.memcached, without: 'its tests are skipped' },
  // /keep
  { ...programs.haproxy, without: 'the whole cannot be proved', room: 'infra/prove' },
  { ...programs.chromium, without: 'the page is not tried in a browser' },
  { names: ['docker', 'buildah'], without: 'pnpm image cannot run', apt: 'buildah', brew: '--cask docker' },
  { ...programs.kubectl, without: 'overlays of Kubernetes are not checked', room: 'infra/deploy/kubernetes' },
]

/** The optional programs that this machine lacks. `pnpm dev` needs none of them. */
export function findMissingPrograms(root: string): Finding[] {
  const isMac = process.platform === 'darwin'
  const isWanted = ({ names, room = '' }: Wanted): boolean =>
    existsSync(join(root, room)) && !findProgram(...names)
  return PROGRAMS.filter(isWanted).map(({ names, without, apt, brew }) => ({
    what: names.join(' or '),
    how: without,
    mend: isMac ? `brew install ${brew}` : `apt-get install ${apt}`,
  }))
}
