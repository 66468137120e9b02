import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mailEnv, openMailer } from '@repo/mail'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { Type } from 'typebox'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { readFormation, type Formation } from '../../formation.ts'
import { makeSecrets } from '../../deploy/compose/make-secrets.ts'
import { render } from '../../deploy/render.ts'
import { openHouse } from '../../deploy/test/open-house.ts'
import { readVariables, type VariablesOf } from '../../deploy/variables.ts'

const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())

let root: string
let formation: Formation
let variables: VariablesOf
let files: Map<string, string>

const COMPOSE = 'infra/deploy/compose/compose.yaml'
const BASE = 'infra/deploy/kubernetes/base'

// A repository whose only process type sends mails.
beforeAll(async () => {
  root = resources.use(await openTemporaryFolder('mail')).path
  const app = join(root, 'apps/orders')
  await mkdir(join(app, 'src'), { recursive: true })
  const worker = { entry: 'src/worker.ts', needs: ['mail'], reaches: ['*:587'] }
  await writeFile(join(app, 'package.json'), JSON.stringify({ processes: { receipts: worker } }))
  await writeFile(join(app, 'src/worker.ts'), '')
  await writeFile(join(app, 'src/env.ts'), `export const envSchema = ${JSON.stringify(Type.Object(mailEnv))}`)
  formation = readFormation(root)
  variables = await readVariables(root, formation)
  files = await render(root, formation)
})

test('Compose catches the mails of a process type that needs mail, until its secrets name another server', async () => {
  const { services } = parse(files.get(COMPOSE)!, { merge: true })
  expect(services.receipts).toMatchObject({
    secrets: ['mail.env'],
    networks: ['back', 'outside'],
    environment: { MAIL_FROM: '${MAIL_FROM:-Nonstick <nonstick@localhost>}' },
  })
  expect(services.mailpit).toMatchObject({ read_only: true, cap_drop: ['ALL'], networks: ['front', 'back'] })
  // On loopback: everybody who reads a mail can follow its links.
  expect(services.mailpit.ports).toEqual(['127.0.0.1:8025:8025'])

  expect(makeSecrets(root, formation, variables).open).toEqual([])
  const file = join(root, '.secrets/mail.env')
  const [, url] = /^MAIL_URL=(.*)\n$/.exec(await readFile(file, 'utf8'))!
  expect(new URL(url!).hostname in services).toBe(true)
  await openMailer(url!, { from: 'nonstick@localhost' })[Symbol.asyncDispose]()

  const own = 'MAIL_URL=smtps://ada:secret@smtp.example.com\n'
  await writeFile(file, own)
  expect(makeSecrets(root, formation, variables)).toEqual({ made: [], open: [] })
  expect(await readFile(file, 'utf8')).toBe(own)
})

test('in Kubernetes the URL is a secret, the sender is not, and the policies lead to the mail server', () => {
  const documents = parseAllDocuments(files.get(`${BASE}/receipts.yaml`)!).map((one) => one.toJS())
  const { metadata, spec } = documents.find(({ kind }) => kind === 'Deployment').spec.template
  expect(metadata.labels).toMatchObject({ 'nonstick/needs-mail': 'true' })
  const [{ env, envFrom }] = spec.containers
  const secretKeyRef = { name: 'mail', key: 'MAIL_URL' }
  expect(env).toContainEqual({ name: 'MAIL_URL', valueFrom: { secretKeyRef } })
  expect(envFrom).toEqual([{ configMapRef: { name: 'nonstick' } }])
  const { configMapGenerator } = parse(files.get(`${BASE}/kustomization.yaml`)!)
  expect(configMapGenerator[0].literals).toContain('MAIL_FROM=Nonstick <mail@nonstick.example>')

  const policy = documents.find(({ kind }) => kind === 'NetworkPolicy')
  expect(policy.spec.egress).toMatchObject([
    { to: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 587 }] },
  ])
  expect(files.get(`${BASE}/network.yaml`)).toContain('name: needs-mail')
})

test('.env.example asks for both', () => {
  expect(files.get('.env.example')).toMatch(/^# The mail server: .*\n# .*; secret \(orders\)\nMAIL_URL=$/m)
  expect(files.get('.env.example')).toMatch(/^MAIL_FROM=$/m)
})

test('where nobody needs mail, no file speaks of it', async () => {
  await using house = await openHouse()
  for (const [path, text] of house.files) {
    if (path !== 'docs/process-types.md') expect(text, path).not.toMatch(/mail/i)
  }
})
