import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { processTypeOf, readFormation, type Formation } from '../formation.ts'
import { renderCompose } from './compose.ts'
import { diffLines } from './diff-lines.ts'
import { renderProcfile } from './procfile.ts'
import { render } from './render.ts'
import { readVariables } from './variables.ts'

const root = resolve(import.meta.dirname, '../..')
const formation = readFormation(root)
const orders = processTypeOf('apps/orders', 'orders', { entry: 'src/server.ts', route: '/api/orders' })
const withOrders: Formation = { ...formation, running: [...formation.running, orders] }

interface Compose {
  services: Record<
    string,
    {
      depends_on?: Record<string, { condition: string }>
      environment?: Record<string, string>
      secrets?: string[]
      container_name?: string
      healthcheck?: unknown
      restart?: string
      read_only?: boolean
      cap_drop?: string[]
      security_opt?: string[]
      mem_limit?: string
      networks?: string[]
      tmpfs?: string[]
      volumes?: string[]
    }
  >
  secrets: Record<string, { file: string }>
  networks: Record<string, { internal?: boolean }>
}
const variables = await readVariables(root, formation)
const compose = (of: Formation): Compose => parse(renderCompose(of, variables), { merge: true }) as Compose

test('one more process type stands in every file that a platform or a person reads', async () => {
  expect(renderProcfile(withOrders)).toContain(
    '\norders: node --enable-source-maps --max-old-space-size=128 --max-semi-space-size=2 apps/orders/dist/server.js\n',
  )
  const files = await render(root, withOrders)
  expect(files.get('docs/process-types.md')).toMatch(/^\| `orders` .* `\/api\/orders` /m)
  expect(files.get('infra/compose.yaml')).toContain('\n  orders:\n')
  expect(files.get('infra/compose.yaml')).toContain('/api/orders=http://orders:3000')
  expect(files.get('infra/kubernetes/base/orders.yaml')).toContain('kind: Deployment')
  expect(files.get('infra/kubernetes/base/kustomization.yaml')).toContain('- orders.yaml')
  expect(files.get('infra/kubernetes/base/ingress.yaml')).toContain('path: /api/orders')
})

test('the Procfile releases first, and what comes from outside reaches the edge', () => {
  const lines = renderProcfile(formation)
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
  const services = formation.running.map(({ name }) => name).filter((name) => name !== 'web')
  expect(lines.map((line) => line.split(':')[0])).toEqual(['release', 'web', ...services])
})

// A shell gets the signal: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#exec
test('in the Procfile a shell makes way for the process', () => {
  const lines = renderProcfile(formation).split('\n')
  for (const line of lines.filter((each) => each.includes('$'))) expect(line).toMatch(/^[\w-]+: exec env /)
})

test('no rendered file has a value for a secret', async () => {
  for (const [file, text] of await render(root, formation)) {
    expect(text, file).not.toMatch(/(DATABASE_URL|SESSION_SECRETS|SESSION_STORE_URL)[=:] *['"]?\w+:\/\//)
  }
})

test('.env.example asks for what has no default, and for nothing else', async () => {
  const text = (await render(root, formation)).get('.env.example')!
  for (const [name, ofEach] of Map.groupBy([...variables.values()].flat(), ({ name }) => name)) {
    if (name === 'PROCESS_NAME') continue
    const isRequired = ofEach.some((one) => one.isRequired)
    expect(text).toMatch(isRequired ? new RegExp(`^${name}=$`, 'm') : new RegExp(`^#${name}=`, 'm'))
  }
})

test('a difference is shown by its lines and nothing else', () => {
  expect(diffLines('f', 'a\nb\nc\nd\n', 'a\nB\nc\nd\ne\n').split('\n')).toEqual([
    '--- f',
    '+++ f, as rendered',
    '@@ -2 +2 @@',
    '-b',
    '+B',
    '@@ -5 +5 @@',
    '+e',
  ])
})

test('temporary files of a process type that declares scratchMiB are on a disk, and not in its memory', async () => {
  const parser = processTypeOf('apps/orders', 'parser', { entry: 'src/worker.ts', scratchMiB: 300 })
  const { services } = compose({ ...withOrders, running: [...withOrders.running, parser] })
  expect(services['parser']).toMatchObject({ tmpfs: [], volumes: ['/tmp'], read_only: true })
  expect(services['orders']).toMatchObject({ tmpfs: ['/tmp'] })
  expect(services['orders']!.volumes).toBeUndefined()

  const files = await render(root, { ...withOrders, running: [...withOrders.running, parser] })
  for (const [name, sizeLimit] of [
    ['parser', '300Mi'],
    ['orders', '64Mi'],
  ]) {
    const [{ spec }] = parseAllDocuments(files.get(`infra/kubernetes/base/${name}.yaml`)!).map(
      (document) => document.toJS() as { spec: { template: { spec: { volumes: unknown } } } },
    ) as [{ spec: { template: { spec: { volumes: unknown } } } }]
    expect(spec.template.spec.volumes).toEqual([{ name: 'tmp', emptyDir: { sizeLimit } }])
  }
})

describe('Compose', () => {
  test('starts in an order that comes to its end: stores, release, services, balancer', () => {
    const started = startOrder(compose(formation))
    const before = (one: string, other: string): void => {
      expect(started.indexOf(one), `${one} before ${other}`).toBeLessThan(started.indexOf(other))
    }
    before('postgres', 'migrate')
    for (const { name, needs } of formation.running) {
      before('migrate', name)
      if (needs.includes('session')) before('redis', name)
    }
    before('web', 'balancer')
    expect(started).toHaveLength(Object.keys(compose(formation).services).length)
  })

  test('an order that never ends is noticed', () => {
    const broken = compose(formation)
    broken.services['postgres']!.depends_on = { web: { condition: 'service_healthy' } }
    expect(() => startOrder(broken)).toThrow(/wait for each other/)
    const unhealthy = compose(formation)
    delete unhealthy.services['postgres']!.healthcheck
    expect(() => startOrder(unhealthy)).toThrow(/has no health check/)
  })

  test('lets every type have any number of processes, and takes every secret from a file', () => {
    const { services, secrets } = compose(formation)
    for (const [name, service] of Object.entries(services)) {
      expect(service.container_name, name).toBeUndefined()
      for (const secret of service.secrets ?? []) expect(secrets[secret]?.file).toBe(`../.secrets/${secret}`)
      expect(Object.keys(service.environment ?? {}), name).not.toContain('DATABASE_URL')
    }
  })

  test('contains every service, the stores and the balancer too', () => {
    for (const [name, service] of Object.entries(compose(formation).services)) {
      expect(service, name).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        mem_limit: expect.stringMatching(/^\d+m$/),
      })
    }
  })

  test('keeps all but the front door and those who call out from the internet, and the stores from the front', () => {
    const { services, networks } = compose(formation)
    const open = Object.keys(networks).filter((name) => !networks[name]?.internal)
    expect(open).toEqual(['front', 'outside'])
    const onThem = Object.keys(services).filter((name) =>
      services[name]!.networks!.some((network) => open.includes(network)),
    )
    const callers = formation.running.filter(({ reaches }) => reaches.length > 0).map(({ name }) => name)
    expect(onThem.sort()).toEqual(['balancer', 'web', ...callers].sort())
  })
})

/** Starts what may be started until nothing is left, as Compose does. */
function startOrder({ services }: Compose): string[] {
  const started: string[] = []
  const ours = new Set([...formation.release, ...formation.running].map(({ name }) => name))
  const isMet = ([name, { condition }]: [string, { condition: string }]): boolean => {
    const service = services[name]
    if (!service) throw new Error(`${name} is waited for and is not there`)
    // Our own images bring their health check along.
    if (condition === 'service_healthy' && !service.healthcheck && !ours.has(name)) {
      throw new Error(`${name} is waited for until it is healthy, and has no health check`)
    }
    if (condition === 'service_completed_successfully' && service.restart !== 'no') {
      throw new Error(`${name} is waited for until it ends, and is started again when it does`)
    }
    return started.includes(name)
  }
  while (started.length < Object.keys(services).length) {
    const next = Object.keys(services).filter((name) => {
      return !started.includes(name) && Object.entries(services[name]!.depends_on ?? {}).every(isMet)
    })
    if (next.length === 0) throw new Error(`${Object.keys(services).join(', ')} wait for each other`)
    started.push(...next)
  }
  return started
}
