import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from '@repo/testing/programs'
import type { Document } from '../../../deploy/kubernetes/find-mistakes.ts'
import { OVERLAYS, readBase, readOverlay } from '../../../deploy/kubernetes/read-documents.ts'
import { planted, type Check } from '../run-checks.ts'

const folder = join(import.meta.dirname, '.typed')
const run = promisify(execFile)

/**
 * Checks every document against the API of Kubernetes, without a cluster: with schemas, which accept unknown fields, and with
 * types, which accept invalid quantities. Needs packages that are not in the workspace: `pnpm verify` installs them, or
 * `pnpm install --ignore-workspace` in this folder.
 */
export function listChecks(root: string): Check[] {
  return [
    check(root, 'the base', () => readBase(root)),
    // Kustomize is a part of kubectl. Without kubectl only the base is checked.
    ...(findProgram('kubectl') ? OVERLAYS : []).map((overlay) =>
      check(root, `the overlay ${overlay}`, () => readOverlay(root, overlay)!),
    ),
    plant(root, 'a misspelled field', (spec) => (spec.template.spec.containers[0].readynessProbe = {})),
    plant(root, 'a field in the wrong place', (spec) => (spec.readinessProbe = {})),
    plant(root, 'a quantity that is none', (spec) => {
      spec.template.spec.containers[0].resources.requests.memory = 'much'
    }),
    plant(root, 'a text where a number belongs', (spec) => (spec.revisionHistoryLimit = 'five')),
    plant(
      root,
      'a word that is none of the choices',
      (spec) => (spec.template.spec.restartPolicy = 'Sometimes'),
    ),
  ]
}

function check(root: string, what: string, read: () => Document[] | Promise<Document[]>): Check {
  return {
    name: `Kubernetes: ${what} is valid`,
    async run() {
      const documents = await read()
      await assertValid(root, documents)
      return `${documents.length} documents`
    },
  }
}

/** @param change plants the mistake in the spec of a valid Deployment */
function plant(root: string, what: string, change: (spec: Document['spec']) => void): Check {
  return planted(`Kubernetes, ${what}`, /./, async () => {
    const deployment = structuredClone((await readBase(root)).find(({ kind }) => kind === 'Deployment')!)
    change(deployment.spec)
    await assertValid(root, [deployment])
  })
}

async function assertValid(root: string, documents: readonly Document[]): Promise<void> {
  const problems = [...(await againstSchemas(documents)), ...(await againstTypes(root, documents))]
  if (problems.length > 0) throw new Error(problems.join('\n'))
}

/** Checks types, enums and quantities with the schemas of the API. */
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

/** Checks names of fields: writes each document as a literal of its type, and compiles it. */
async function againstTypes(root: string, documents: readonly Document[]): Promise<string[]> {
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
