import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { spawnTethered } from '@repo/testing/spawn-tethered'
import type { Formation } from '../formation.ts'
import { packagesOf } from './packages-of.ts'

/** Something that a script of a workspace member makes from sources, and that processes cannot start without. */
export interface Product {
  /** The member's folder, from the root on. */
  member: string
  /** The script in its package.json. */
  script: string
  /** Files and folders it is made from, in the member. */
  sources: readonly string[]
  /** The folder the script writes, in the member. */
  result: string
}

/** The database client of each app with tables, and the page of each process type that serves one. */
export function productsOf(root: string, { running }: Formation): Product[] {
  const apps = [...new Set(running.map(({ app }) => app))]
  const pages = running.filter(({ page }) => page !== undefined)
  return [
    ...apps.filter((app) => existsSync(join(root, app, 'schema.prisma'))).map(clientOf),
    ...pages.map(({ app, page }) => ({
      member: app,
      script: 'page',
      sources: [page!],
      result: `dist/${page}`,
    })),
  ].filter(({ member }) => existsSync(join(root, member)))
}

export function clientOf(member: string): Product {
  return { member, script: 'generate', sources: ['schema.prisma'], result: 'src/generated' }
}

/**
 * Runs the script, unless its result is there and was made from these very sources.
 *
 * @throws with the script's own output
 */
export async function make(root: string, product: Product, say: (sentence: string) => void): Promise<void> {
  const { member, script, sources, result } = product
  const folder = join(root, member)
  const manifest = await readFile(join(folder, 'package.json'), 'utf8')
  // The lockfile stands for the tools: another Prisma generates another client.
  const parts = [manifest, packagesOf(root)]
  for (const source of sources) parts.push(await contentOf(join(folder, source)))
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

/** Of a file, or of everything in a folder; empty when there is nothing. */
async function contentOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isDirectory()) return found ? readFile(path, 'utf8') : ''
  const names = (await readdir(path)).sort()
  const contents = await Promise.all(
    names.map(async (name) => `${name}\0${await contentOf(join(path, name))}`),
  )
  return contents.join('\0')
}
