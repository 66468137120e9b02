import { resolve } from 'node:path'
import { createService } from '@repo/service'
import { findProgram } from '@repo/testing/programs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readFormation } from '../../formation.ts'
import { readVariables } from '../variables.ts'
import { findMistakes, type Document, type Surroundings } from './find-mistakes.ts'
import { OVERLAYS, readBase, readOverlay } from './read-documents.ts'

const root = resolve(import.meta.dirname, '../../..')
const env = {
  NODE_ENV: 'test',
  PORT: 0,
  HOST: '127.0.0.1',
  LOG_LEVEL: 'silent',
  PUBLIC_ORIGIN: 'http://localhost',
  KEEP_ALIVE_TIMEOUT_MS: 72_000,
  DRAIN_MS: 0,
  SHUTDOWN_DEADLINE_MS: 1000,
} as const
const service = createService({ name: 'any', env })
let about: Surroundings

beforeAll(async () => {
  const formation = readFormation(root)
  about = {
    formation,
    variables: await readVariables(root, formation),
    answers: async (path) => (await service.inject(path)).statusCode !== 404,
  }
})
afterAll(() => service.close())

test('the base has no mistake', async () => {
  expect(await findMistakes(await readBase(root), about)).toEqual([])
})

// Kustomize is a part of kubectl. Without kubectl only the base is checked.
test.each(findProgram('kubectl') ? OVERLAYS : [])('the overlay %s has no mistake', async (overlay) => {
  expect(await findMistakes(readOverlay(root, overlay)!, about)).toEqual([])
})

type Change = (document: Document['spec']) => void

function container(change: Change): Change {
  return (spec) => change(spec.template.spec.containers[0])
}

describe('a planted mistake is found:', () => {
  test.each<[string, kind: string, name: string, Change, RegExp]>([
    [
      'a port that no app listens on',
      'Deployment',
      'accounts',
      container((c) => (c.ports[0].containerPort = 8080)),
      /does not listen on/,
    ],
    [
      'a service that leads to it',
      'Service',
      'accounts',
      (spec) => (spec.ports[0].targetPort = 8080),
      /no container opens/,
    ],
    [
      'an ingress to a service that is not there',
      'Ingress',
      'nonstick',
      (spec) => (spec.rules[0].http.paths.at(-1).backend.service.name = 'wbe'),
      /no such port/,
    ],
    [
      'a probe on a missing route',
      'Deployment',
      'accounts',
      container((c) => (c.readinessProbe.httpGet.path = '/healthz')),
      /\/healthz, which nobody answers/,
    ],
    [
      'a missing secret',
      'Deployment',
      'accounts',
      container((c) => (c.env = c.env.filter((one: { name: string }) => one.name !== 'SESSION_SECRETS'))),
      /not given SESSION_SECRETS/,
    ],
    [
      'a secret under another key',
      'Deployment',
      'accounts',
      container((c) => (c.env.at(-1).valueFrom.secretKeyRef.key = 'SECRETS')),
      /another variable/,
    ],
    [
      'a secret for all to read',
      'Deployment',
      'accounts',
      container((c) => c.env.push({ name: 'DATABASE_URL', value: 'postgres://u:p@h/d' })),
      /shows DATABASE_URL/,
    ],
    [
      'a variable that no schema declares',
      'Deployment',
      'web',
      container((c) => c.env.push({ name: 'UPSTREAM', value: 'x' })),
      /no schema of it declares/,
    ],
    [
      'a shell as process 1',
      'Deployment',
      'web',
      container((c) => (c.command = ['/bin/sh', '-c', 'node main.js'])),
      /process 1/,
    ],
    [
      'a sleep before the signal',
      'Deployment',
      'web',
      container((c) => (c.lifecycle = { preStop: { sleep: { seconds: 5 } } })),
      /drains by itself/,
    ],
    [
      'a drain shorter than the lag',
      'Deployment',
      'web',
      container((c) => (c.readinessProbe.periodSeconds = 10)),
      /DRAIN_MS \(5000 ms\) is not longer/,
    ],
    [
      'a grace shorter than the deadline',
      'Deployment',
      'web',
      (spec) => (spec.template.spec.terminationGracePeriodSeconds = 20),
      /grace of the platform \(20000 ms\)/,
    ],
    [
      'replicas beside an autoscaler',
      'Deployment',
      'web',
      (spec) => (spec.replicas = 2),
      /beside an autoscaler/,
    ],
    [
      'an autoscaler of nobody',
      'HorizontalPodAutoscaler',
      'web',
      (spec) => (spec.scaleTargetRef.name = 'edge'),
      /not there/,
    ],
    [
      'a selector that selects others',
      'Deployment',
      'web',
      (spec) => (spec.template.metadata.labels['app.kubernetes.io/name'] = 'accounts'),
      /own pods/,
    ],
    ['root', 'Deployment', 'web', (spec) => (spec.template.spec.securityContext.runAsUser = 0), /root/],
    [
      'a root that can be written to',
      'Job',
      'migrate-release',
      container((c) => (c.securityContext.readOnlyRootFilesystem = false)),
      /write to its root/,
    ],
    [
      'a container without a memory limit',
      'Deployment',
      'web',
      container((c) => delete c.resources.limits),
      /memory/,
    ],
    [
      'a way out to any address',
      'NetworkPolicy',
      'needs-database',
      (spec) => delete spec.egress[0].to,
      /needs-database lets pods reach any address/,
    ],
    [
      'a way in for anybody',
      'NetworkPolicy',
      'accounts',
      (spec) => delete spec.ingress[0].from,
      /accounts lets anybody in/,
    ],
  ])('%s', async (_, kind, name, change, words) => {
    const documents = structuredClone(await readBase(root))
    const planted = documents.find((one) => one.kind === kind && one.metadata.name === name)
    change(planted?.spec)
    const mistakes = await findMistakes(documents, about)
    expect(mistakes.join('\n')).toMatch(words)
  })

  test.each([
    [
      'what a release reads, applied after it',
      'ConfigMap',
      'nonstick',
      /reads a ConfigMap that is not there/,
    ],
    [
      'a policy of the release, applied after it',
      'NetworkPolicy',
      'migrate',
      /migrate has no network policy/,
    ],
  ])('%s', async (_, kind, name, words) => {
    const documents = structuredClone(await readBase(root))
    delete documents.find((one) => one.kind === kind && one.metadata.name === name)!.metadata.labels
    const mistakes = await findMistakes(documents, about)
    expect(mistakes.join('\n')).toMatch(words)
    expect(mistakes.every((mistake) => mistake.startsWith('of what the release applies first: '))).toBe(true)
  })

  test.each(['accounts', 'accounts-worker'])('%s, which no Deployment runs', async (name) => {
    const documents = (await readBase(root)).filter(({ metadata }) => metadata.name !== name)
    expect((await findMistakes(documents, about)).join('\n')).toContain(
      `${name} of the formation is deployed by nobody`,
    )
  })
})
