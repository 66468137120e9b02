import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Formation } from '../formation.ts'
import type { Finding } from './find-drift.ts'

/** What is left of an app whose folder somebody has deleted: its parts of other things, and the requests to it in the README. */
export function findOrphans(root: string, { running }: Formation): Finding[] {
  const isThere = (folder: string): boolean =>
    existsSync(join(root, 'apps', basename(folder), 'package.json'))
  const parts = globSync('{apps,packages,infra,docs}/**/apps/*', {
    cwd: root,
    exclude: (path) => basename(path) === 'node_modules',
  })
  const orphans = parts
    .filter((folder) => !isThere(folder))
    .map((what) => ({ what, how: 'its app is gone', mend: 'pnpm infra', wanted: null }))

  const found = existsSync(join(root, 'README.md')) ? readFileSync(join(root, 'README.md'), 'utf8') : ''
  const routes = running.flatMap(({ route }) => route ?? [])
  const wanted = found
    .split('\n')
    .filter((line) => {
      const [, path] = /^say .*localhost:\d+(\/api\/[a-z0-9-]+)/.exec(line) ?? []
      return path === undefined || routes.includes(path)
    })
    .join('\n')
  if (wanted === found) return orphans
  return [
    ...orphans,
    { what: 'README.md', how: 'asks an app that is gone', mend: 'pnpm infra', found, wanted },
  ]
}
