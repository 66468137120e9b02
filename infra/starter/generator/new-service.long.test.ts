import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RowResult } from '../../prove/run-attack.ts'
import { must, openClone, type Clone } from './open-clone.ts'

// Only two: with four, all processes of a turn once took longer than their grace time. The cause is not known yet.
const SERVICES = {
  orders: ['--kind', 'http', '--with', 'database,session'],
  'lost-orders': ['--kind', 'http+worker', '--with', 'database'],
}

test(
  'what the generator has made is attacked like everything else, and found when it keeps something to itself',
  { timeout: 900_000, retry: process.env.CI ? 2 : 0 },
  async () => {
    await using clone = await openClone()
    for (const [name, args] of Object.entries(SERVICES)) {
      await must(clone.run('infra/generator/new.ts', [name, ...args, '--force']))
    }

    const proved = await clone.run('infra/prove/main.ts', ['--quick'])
    expect(proved.output).toContain('4 passed, 0 failed')
    const [kill, roll] = await readRows(clone)
    const rolled = roll!.seconds.flatMap(({ done }) => done)
    for (const name of Object.keys(SERVICES)) {
      for (const { findings } of [kill!, roll!]) {
        expect(findings.find(({ what }) => what === 'to')?.found).toContain(`/api/${name}`)
      }
      expect(rolled).toContain(`stop ${name}.2`)
    }

    // A number that each process counts in memory, and keeps for the items that it created itself.
    const file = join(clone.root, 'apps/orders/src/domain/items.ts')
    const source = await readFile(file, 'utf8')
    const keeping = source
      .replace(
        'export async function addItem',
        'const titles = new Map<string, string>()\n\nexport async function addItem',
      )
      .replace(
        /return await database.ordersItem.create\((.*)\)\n/,
        (_, args: string) => `const item = await database.ordersItem.create(${args})
  item.title = \`\${titles.size + 1}. \${item.title}\`
  titles.set(item.id, item.title)
  return item
`,
      )
      .replace(
        '  return item\n}\n\n/** Doing',
        '  return { ...item, title: titles.get(item.id) ?? item.title }\n}\n\n/** Doing',
      )
    expect(keeping.match(/titles/g)).toHaveLength(4)
    await writeFile(file, keeping)

    const found = await clone.run('infra/prove/main.ts', ['roll', '--quick'])
    expect(found.code).toBe(1)
    expect(found.output).toContain('0 passed, 1 failed')
    const [broken] = await readRows(clone)
    expect(broken!.findings.filter(({ holds }) => !holds).map(({ what }) => what)).toContain(
      'acknowledged writes lost',
    )
  },
)

async function readRows({ root }: Clone): Promise<RowResult[]> {
  const { rows } = JSON.parse(await readFile(join(root, 'prove.json'), 'utf8')) as { rows: RowResult[] }
  return rows
}
