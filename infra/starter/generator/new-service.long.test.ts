import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RowResult } from '../../prove/run-attack.ts'
import { must, openClone, type Clone } from './open-clone.ts'

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

    // Before the minutes of the proof: what is planted has to fit what was made.
    const file = join(clone.root, 'apps/orders/src/domain/items.ts')
    const keeping = keepTitles(await readFile(file, 'utf8'))

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

/** The module with a number that each process counts in memory, and keeps for the items that it created itself. */
function keepTitles(source: string): string {
  const [, created] = /return (await database\.ordersItem\.create\(.*\))\n/.exec(source)!
  const planted: [from: string, to: string][] = [
    [
      'export async function addItem',
      'const titles = new Map<string, string>()\n\nexport async function addItem',
    ],
    [
      `  return ${created}\n`,
      `  const item = ${created}
  item.title = \`\${titles.size + 1}. \${item.title}\`
  titles.set(item.id, item.title)
  return item
`,
    ],
    [
      'throw new OrdersItemNotFound()\n  return item\n',
      'throw new OrdersItemNotFound()\n  return { ...item, title: titles.get(item.id) ?? item.title }\n',
    ],
  ]
  return planted.reduce((text, [from, to]) => {
    expect(text.split(from)).toHaveLength(2)
    return text.replace(from, () => to)
  }, source)
}

async function readRows({ root }: Clone): Promise<RowResult[]> {
  const { rows } = JSON.parse(await readFile(join(root, 'prove.json'), 'utf8')) as { rows: RowResult[] }
  return rows
}
