import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readFormation } from '../formation.ts'
import { diffLines } from './diff-lines.ts'
import { makeSecrets } from './make-secrets.ts'
import { render } from './render.ts'

const help = `pnpm infra [--check | --secrets | --verify [word...]]

Writes what is derived from the formation, which is what each app declares in its own package.json:
Procfile, .env.example, infra/compose.yaml and infra/kubernetes/base. Change the app, never these files.

  --check     writes nothing; shows what would change, and fails if anything would
  --verify    builds and runs what a deployment runs, without an engine; as root, with buildah, bwrap, debootstrap,
              haproxy and foreman. Words choose among the checks
  --secrets   makes what infra/compose.yaml needs and git must not have, in .secrets, unless it is there
`

const root = resolve(import.meta.dirname, '../..')
const flag = { type: 'boolean', default: false } as const
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: flag, secrets: flag, verify: flag, help: flag },
})

if (options.help) console.log(help)
else if (options.verify) await verify()
else if (options.secrets) for (const file of makeSecrets(root)) console.log(`made ${file}`)
else {
  const stale = [...(await render(root, readFormation(root)))].filter(([file, text]) => text !== read(file))
  for (const [file, text] of stale) {
    if (options.check) console.error(diffLines(file, read(file) ?? '', text))
    else write(file, text)
  }
  if (options.check && stale.length > 0) {
    console.error('These files are not what the formation says. Mend: pnpm infra')
    process.exitCode = 1
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(join(root, file), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), text)
  console.log(`wrote ${file}`)
}

async function verify(): Promise<void> {
  // Loaded only here: whoever renders needs none of it.
  const { verify } = await import('../verify/verify.ts')
  if (!(await verify(root, positionals))) process.exitCode = 1
}
