import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { runChecks, type Check } from '../../verify/run-checks.ts'
import type { Document } from '../find-mistakes.ts'
import { OVERLAYS, readBase, readOverlay } from '../read-documents.ts'

// Every document against the API of Kubernetes, without a cluster. Neither half is enough: the schemas let unknown fields
// pass, the types a quantity that is none. Needs once `pnpm install --ignore-workspace` in this folder.
const root = resolve(import.meta.dirname, '../../..')
const folder = join(import.meta.dirname, '.typed')
const run = promisify(execFile)
process.exit((await runChecks(listChecks())) ? 0 : 1)

async function* listChecks(): AsyncIterable<Check> {
  yield check('the base', readBase(root))
  for (const overlay of OVERLAYS) {
    const documents = readOverlay(root, overlay)
    if (documents) yield check(`the overlay ${overlay}`, documents)
    else console.log(`skipped ${overlay}: this machine has no kubectl`)
  }
  yield planted('a misspelled field', (spec) => (spec.template.spec.containers[0].readynessProbe = {}))
  yield planted('a field in the wrong place', (spec) => (spec.readinessProbe = {}))
  yield planted('a quantity that is none', (spec) => {
    spec.template.spec.containers[0].resources.requests.memory = 'much'
  })
  yield planted('a text where a number belongs', (spec) => (spec.revisionHistoryLimit = 'five'))
  yield planted(
    'a word that is none of the choices',
    (spec) => (spec.template.spec.restartPolicy = 'Sometimes'),
  )
}

function check(what: string, documents: Document[]): Check {
  return {
    name: `${what} is valid`,
    async run() {
      const problems = await findInvalid(documents)
      if (problems.length > 0) throw new Error(problems.join('\n'))
      return `${documents.length} documents`
    },
  }
}

/** @param change of the spec of a Deployment that was valid */
function planted(what: string, change: (spec: Document['spec']) => void): Check {
  return {
    name: `${what} is found`,
    async run() {
      const deployment = structuredClone(readBase(root).find(({ kind }) => kind === 'Deployment')!)
      change(deployment.spec)
      const problems = await findInvalid([deployment])
      if (problems.length === 0) throw new Error('it was not found')
      return ''
    },
  }
}

async function findInvalid(documents: readonly Document[]): Promise<string[]> {
  return [...(await againstSchemas(documents)), ...(await againstTypes(documents))]
}

/** Types, choices and quantities, by the schemas of the API. */
async function againstSchemas(documents: readonly Document[]): Promise<string[]> {
  const problems: string[] = []
  for (const document of documents) {
    const { apiVersion, kind, metadata } = document
    const models = (await import(`kubernetes-models/${apiVersion}`)) as Record<
      string,
      new (data: Document) => { validate(): void }
    >
    const Model = models[kind]
    if (!Model) {
      problems.push(`${kind} ${metadata.name}: ${apiVersion} has no such kind`)
      continue
    }
    try {
      new Model(document).validate()
    } catch (error) {
      problems.push(`${kind} ${metadata.name}: ${(error as Error).message}`)
    }
  }
  return problems
}

/** Names of fields, by writing each document as a literal of its type and asking the compiler. */
async function againstTypes(documents: readonly Document[]): Promise<string[]> {
  const source = documents.map((document, n) => {
    const { apiVersion, kind } = document
    return `import type { I${kind} as Type${n} } from 'kubernetes-models/${apiVersion}'
export const document${n}: Type${n} = ${JSON.stringify(document, null, 2)}`
  })
  await mkdir(folder, { recursive: true })
  try {
    const file = join(folder, 'documents.ts')
    await writeFile(file, source.join('\n'))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const flags = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext']
    await run(process.execPath, [tsc, ...flags, file], { cwd: import.meta.dirname })
    return []
  } catch (error) {
    return [(error as { stdout?: string }).stdout || (error as Error).message]
  } finally {
    await rm(folder, { recursive: true })
  }
}
