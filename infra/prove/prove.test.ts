import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { findProgram, needs } from '@repo/testing/programs'
import { expect, test, vi } from 'vitest'
import { attacks } from './attacks.ts'
import { renderConfig } from './deployment/haproxy.ts'
import { listFaultFiles, listFaults } from './list-faults.ts'
import { example } from './load/find-work.ts'
import { renderLine, renderLineWithoutEdge } from './print.ts'
import { createRandom } from './random.ts'
import { bySecond } from './record.ts'

const GUARANTEES = join(import.meta.dirname, '../../docs/guarantees.md')

test.each(attacks)('$name has a planted fault, and its line in docs/guarantees.md', async (attack) => {
  expect(listFaults(attack.name)).not.toEqual([])
  const guarantees = await readFile(GUARANTEES, 'utf8')
  const lines = [renderLine(attack), renderLineWithoutEdge(attack)]
  for (const line of lines) expect(guarantees.replaceAll(/ {2,}/g, ' ')).toContain(line ?? '')
})

test('every planted fault belongs to a row', async () => {
  const rows = new Set(listFaultFiles('*').map((file) => basename(dirname(file))))
  expect([...rows].sort()).toEqual(attacks.map(({ name }) => name).sort())
})

test('what a planted fault replaces is there to be replaced', async () => {
  const planted: { file: string; right: string }[] = []
  vi.doMock('./faults/plant.ts', () => ({
    plant: (file: string, right: string) => planted.push({ file, right }),
  }))
  for (const path of listFaultFiles('*')) {
    if ((await readFile(path, 'utf8')).includes('plant(')) await import(path)
  }
  vi.doUnmock('./faults/plant.ts')
  expect(planted.length).toBeGreaterThan(20)
  for (const { file, right } of planted)
    expect(await readFile(join(import.meta.dirname, '../..', file), 'utf8'), file).toContain(right)
})

test('an error that nothing in a row waits for breaks that row, and does not end the others', () => {
  const program = `
    import { runAttack } from ${JSON.stringify(join(import.meta.dirname, 'run-attack.ts'))}
    const attack = { name: 'a row', run: () => { void Promise.reject(new Error('forgotten')); return new Promise(() => {}) } }
    const openShared = async () => ({ heal() {}, crashes: [] })
    const { verdict, reason } = await runAttack(attack, { seed: 1, openShared })
    console.log(verdict, reason)`
  const output = execFileSync(process.execPath, ['--input-type=module-typescript', '--eval', program], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  })
  expect(output).toBe('broken it broke off: forgotten\n')
})

test('a seed repeats its choices, and each row has its own', () => {
  expect(choices(7, 'kill')).toEqual(choices(7, 'kill'))
  expect(choices(7, 'kill')).not.toEqual(choices(8, 'kill'))
  expect(choices(7, 'kill')).not.toEqual(choices(7, 'roll'))
})

test('what was asked and done is told second by second', () => {
  const asked = { method: 'GET', path: '/', pausedMs: 0 }
  const seconds = bySecond(
    [
      { ...asked, intendedAt: 1000, endedAt: 1010, outcome: 'ok', answer: '200' },
      { ...asked, intendedAt: 3500, endedAt: 3900, outcome: 'failed', answer: '503 X' },
    ],
    [{ at: 2500, what: 'kill web.1' }],
  )
  expect(seconds.map(({ sent, ok, failed }) => [sent, ok, failed])).toEqual([
    [1, 1, 0],
    [0, 0, 0],
    [1, 0, 1],
  ])
  expect(seconds[1]!.done).toEqual(['kill web.1'])
  expect(seconds[2]!.notOk).toEqual(['GET /: 503 X after 400 ms'])
})

test('a body is made from the schema of any service', () => {
  const schema = {
    type: 'object',
    required: ['name', 'kind', 'count', 'lines'],
    properties: {
      name: { type: 'string', maxLength: 10 },
      kind: { enum: ['small', 'large'] },
      count: { type: 'integer', minimum: 3 },
      lines: {
        type: 'array',
        minItems: 1,
        items: { type: 'object', required: ['url'], properties: { url: { type: 'string' } } },
      },
      notes: { type: 'string' },
    },
  }
  expect(example(schema, 'unique-123')).toEqual({
    name: 'unique-123',
    kind: 'small',
    count: 3,
    lines: [{ url: 'https://prove.example/unique-123' }],
  })
})

test('HAProxy itself accepts the configuration', needs('haproxy'), async () => {
  const folder = await mkdtemp(join(tmpdir(), 'nonstick-haproxy-'))
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, renderConfig(8080, [{ name: 'web.1', port: 8081 }]))
  expect(() => execFileSync(findProgram('haproxy')!, ['-c', '-f', file], { stdio: 'pipe' })).not.toThrow()
  await rm(folder, { recursive: true })
})

function choices(seed: number, row: string): number[] {
  const random = createRandom(seed).fork(row)
  return [random.next(), random.next(), random.next()]
}
