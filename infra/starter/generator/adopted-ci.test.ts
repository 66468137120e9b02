import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../../..')

/** The actions and images that a workflow names, each with its version: `actions/checkout@08c6903…`. */
function listPins(file: string): string[] {
  const text = readFileSync(resolve(ROOT, file), 'utf8')
  return [...text.matchAll(/\b(?:uses|image): ([^\s,]+)/g)].map(([, pin]) => pin!)
}

// Renovate updates the workflows of this repository, and does not know the one that `pnpm adopt` writes.
test('the CI of a clone has the same versions of actions and of Node as the CI of the starter', () => {
  const ofClone = listPins('infra/generator/adopted/ci.yml')
  expect(ofClone).toContainEqual(expect.stringMatching(/\/node:/))
  expect(ofClone).toContainEqual(expect.stringMatching(/^actions\/checkout@/))
  const ours = listPins('.github/workflows/ci.yml')
  expect(ofClone.filter((pin) => !ours.includes(pin))).toEqual([])
})
