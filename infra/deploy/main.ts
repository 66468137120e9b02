import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readFormation } from '../formation.ts'
import { waitForTree } from '../generator/lock-tree.ts'
import { diffLines, findDrift, type Finding } from './find-drift.ts'
import { findMissingPrograms } from './find-missing-programs.ts'
import { listPlatforms } from './render.ts'
import { readVariables } from './variables.ts'

const help = `pnpm infra [--check | --secrets]

Renders the files that are derived from the formation, which is what each app declares in its own package.json:
.env.example, docs/process-types.md, and the files of each platform in infra/deploy. Change the app, never these files.
Removes the files of process types that are gone.

  --check     writes nothing; prints what has drifted (these files, versions outside the catalog, templates that differ
              from the apps), which programs this machine lacks, and how to correct each. Fails when something has drifted
  --secrets   creates the secrets of Compose in .secrets, which git ignores; keeps those that are there
`

const root = resolve(import.meta.dirname, '../..')
const flag = { type: 'boolean', default: false } as const
const { values: options } = parseArgs({
  options: { check: flag, secrets: flag, help: flag },
})

if (options.help) console.log(help)
else if (options.secrets) await bringSecrets()
else await bringUpToDate()

async function bringUpToDate(): Promise<void> {
  await waitForTree(root)
  const drifted = await findDrift(root, readFormation(root))
  if (options.check) {
    printTable('drifted', drifted)
    for (const { what, found = '', wanted } of drifted)
      if (typeof wanted === 'string') console.log(diffLines(what, found, wanted))
    printTable('missing on this machine', findMissingPrograms(root))
    if (drifted.length > 0) process.exitCode = 1
    else console.log('Nothing has drifted.')
    return
  }
  for (const { what, wanted } of drifted) {
    if (wanted === undefined) continue
    if (wanted === null) rmSync(join(root, what), { recursive: true })
    else write(what, wanted)
    console.log(`${wanted === null ? 'removed' : 'wrote'} ${what}`)
  }
}

async function bringSecrets(): Promise<void> {
  const platform = (await listPlatforms()).find(({ makeSecrets }) => makeSecrets)
  if (!platform?.makeSecrets) {
    console.error('They are made for Compose, which this clone does without.')
    return void (process.exitCode = 1)
  }
  const formation = readFormation(root)
  const { made, open } = platform.makeSecrets(root, formation, await readVariables(root, formation))
  for (const file of made) console.log(`made ${file}`)
  for (const place of open) console.log(`to fill in: ${place}`)
}

function printTable(title: string, findings: readonly Finding[]): void {
  if (findings.length === 0) return
  const width = (column: 'what' | 'how'): number => Math.max(...findings.map((row) => row[column].length)) + 2
  console.log(title)
  for (const { what, how, mend } of findings)
    console.log(`  ${what.padEnd(width('what'))}${how.padEnd(width('how'))}mend: ${mend}`)
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), text)
}
