import { CHROMIUM, findProgram } from '@repo/testing/find-program'
import type { Finding } from './find-drift.ts'

/** What one can do without, each in its way: names of which one is enough, what is lost, and who brings it. */
const PROGRAMS: readonly { names: readonly string[]; without: string; apt: string; brew: string }[] = [
  { names: ['git'], without: 'pnpm new and retire cannot tell what is yours', apt: 'git', brew: 'git' },
  {
    names: ['redis-server', 'valkey-server'],
    without: 'sessions of pnpm dev live in Postgres',
    apt: 'redis-server',
    brew: 'redis',
  },
  { names: ['memcached'], without: 'its tests are skipped', apt: 'memcached', brew: 'memcached' },
  { names: ['haproxy'], without: 'pnpm prove cannot run', apt: 'haproxy', brew: 'haproxy' },
  {
    names: CHROMIUM,
    without: 'the page is not tried in a browser',
    apt: 'chromium',
    brew: '--cask chromium',
  },
  { names: ['docker', 'buildah'], without: 'pnpm image cannot run', apt: 'buildah', brew: '--cask docker' },
  {
    names: ['kubectl'],
    without: 'overlays of Kubernetes are not checked',
    apt: 'kubernetes-client',
    brew: 'kubernetes-cli',
  },
]

/** What this machine lacks. Nothing of it is needed for `pnpm dev`. */
export function findMissingPrograms(): Finding[] {
  const isMac = process.platform === 'darwin'
  return PROGRAMS.filter(({ names }) => !findProgram(...names)).map(({ names, without, apt, brew }) => ({
    what: names.join(' or '),
    how: without,
    mend: isMac ? `brew install ${brew}` : `apt-get install ${apt}`,
  }))
}
