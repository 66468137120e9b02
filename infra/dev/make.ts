import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { spawnTethered } from '@repo/testing/spawn-tethered'
import { readFormation, type Formation } from '../formation.ts'

/** A folder that a script of a workspace member makes from sources, and that processes need to start. */
export interface Product {
  /** The member's folder, relative to the root. */
  member: string
  /** The script in its package.json. */
  script: string
  /** The files and folders that it is made from, relative to the root. */
  sources: readonly string[]
  /** The folder the script writes, in the member. */
  result: string
}

/** The products of a formation: the client of each app with tables, and the page of each process type that serves one. */
export function productsOf(root: string, { running }: Formation): Product[] {
  const apps = [...new Set(running.map(({ app }) => app))]
  const pages = running.filter(({ page }) => page !== undefined)
  return [
    ...apps.filter((app) => existsSync(join(root, app, 'schema.prisma'))).map(clientOf),
    ...pages.map(({ app, page }) => ({
      member: app,
      script: 'page',
      // Other apps have parts of the page, in folders of the same name.
      sources: [...globSync(`apps/*/${page}`, { cwd: root }).sort(), 'packages/page/src'],
      result: `dist/${page}`,
    })),
  ].filter(({ member }) => existsSync(join(root, member)))
}

function clientOf(member: string): Product {
  return { member, script: 'generate', sources: [join(member, 'schema.prisma')], result: 'src/generated' }
}

/**
 * Runs the product's script, unless the result exists and was made from the same sources.
 *
 * @throws when the script fails, with its output
 */
export async function make(root: string, product: Product, say: (sentence: string) => void): Promise<void> {
  const { member, script, sources, result } = product
  const folder = join(root, member)
  const manifest = await readFile(join(folder, 'package.json'), 'utf8')
  // The lockfile has the versions of tools: another version of Prisma generates another client.
  const parts = [manifest, packagesOf(root)]
  for (const source of sources) parts.push(await contentOf(join(root, source)))
  const hash = createHash('sha256').update(parts.join('\0')).digest('hex')
  const stamp = join(root, '.dev/made', `${member.replaceAll('/', '-')}-${script}`)
  if (existsSync(join(folder, result)) && (await contentOf(stamp)) === hash) return

  const { scripts } = JSON.parse(manifest) as { scripts?: Record<string, string> }
  const command = scripts?.[script]
  if (!command) throw new Error(`${member}/package.json has no script "${script}"`)
  say(`${member}: ${command}`)
  const path = [join(folder, 'node_modules/.bin'), join(root, 'node_modules/.bin'), process.env.PATH]
  await using running = spawnTethered('/bin/sh', ['-c', command], {
    cwd: folder,
    env: { ...process.env, PATH: path.join(delimiter) },
  })
  const { code } = await running.exited
  if (code !== 0) throw new Error(`"${script}" of ${member} failed:\n${running.output()}`)
  await mkdir(join(root, '.dev/made'), { recursive: true, mode: 0o700 })
  await writeFile(stamp, hash)
}

/** The content of a file, or of all files in a folder; '' when the path does not exist. */
async function contentOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isDirectory()) return found ? readFile(path, 'utf8') : ''
  const names = (await readdir(path)).sort()
  const contents = await Promise.all(
    names.map(async (name) => `${name}\0${await contentOf(join(path, name))}`),
  )
  return contents.join('\0')
}

/** The packages in pnpm-lock.yaml; '' without a lockfile. A new member that needs no new package does not change them. */
export function packagesOf(root: string): string {
  try {
    const text = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
    return text.slice(text.indexOf('\npackages:\n'))
  } catch {
    return ''
  }
}

// The `made` script of infra. It makes all that type checks and tests of the workspace need, also the clients of templates
// and of the fixtures of packages.
if (import.meta.main) {
  const root = resolve(import.meta.dirname, '../..')
  const templates = globSync('infra/generator/templates/*/schema.prisma', { cwd: root })
  const fixtures = globSync('packages/*/test/fixture/*/schema.prisma', { cwd: root })
  const products = [
    ...productsOf(root, readFormation(root)),
    ...templates.map((schema) => clientOf(dirname(schema))),
    ...fixtures.map((schema) => {
      const [member, folder] = dirname(schema).split(/(?<=^packages\/[^/]+)\//)
      return { ...clientOf(member!), sources: [schema], result: `${folder}/src/generated` }
    }),
  ]
  await Promise.all(products.map((product) => make(root, product, console.log)))
}
