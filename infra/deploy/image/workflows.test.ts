import { globSync, readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

interface Workflow {
  concurrency?: { group: string }
  jobs: Record<
    string,
    { uses?: string; needs?: string; permissions?: Record<string, string>; steps?: Step[] }
  >
}
type Step = { uses?: string; run?: string }

const folder = resolve(import.meta.dirname, '../../../.github/workflows')
const workflows = new Map(
  globSync('*.yml', { cwd: folder }).map((file) => [
    basename(file, '.yml'),
    parse(readFileSync(resolve(folder, file), 'utf8')) as Workflow,
  ]),
)
const jobsOf = (name: string): [string, Workflow['jobs'][string]][] =>
  Object.entries(workflows.get(name)!.jobs)

test('what is published has passed CI, at the commit that is published', () => {
  const publishing = jobsOf('release').filter(([, { permissions }]) => permissions?.['packages'] === 'write')
  expect(publishing).not.toEqual([])
  for (const [name, { needs }] of publishing) expect(needs, name).toBe('ci')
  expect(workflows.get('release')!.jobs['ci']!.uses).toBe('./.github/workflows/ci.yml')
})

test('a workflow that is called shares no concurrency group with its caller, which would wait for itself', () => {
  expect(workflows.get('ci')!.concurrency!.group).not.toContain('github.workflow')
})

test('no image is built by an unpinned program: actions are pinned by digest, pnpm by package.json', () => {
  for (const name of workflows.keys()) {
    const steps = jobsOf(name).flatMap(([, { steps = [] }]) => steps)
    for (const { uses, run } of steps) {
      if (uses) expect(uses, name).toMatch(/@[0-9a-f]{40}$/)
      expect(run ?? '', name).not.toMatch(/npx|corepack/)
    }
  }
})
