import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'

/** A platform for development, as pnpm's `--os`, `--cpu` and `--libc` name it. */
export interface Platform {
  os: 'linux' | 'darwin'
  cpu: 'x64' | 'arm64'
  libc?: 'glibc' | 'musl'
}

export const PLATFORMS: readonly Platform[] = (['x64', 'arm64'] as const).flatMap((cpu) => [
  { os: 'linux', cpu, libc: 'glibc' } as const,
  { os: 'linux', cpu, libc: 'musl' } as const,
  { os: 'darwin', cpu } as const,
])

/** Tools that every clone needs, as a binary for its platform. Postgres and Node are not here: they have none for musl. */
const TOOLS = ['turbo', 'oxlint', 'oxfmt', 'rolldown', 'typescript']

interface Manifest {
  name: string
  os?: string[]
  cpu?: string[]
  libc?: string[]
  optionalDependencies?: Record<string, string>
}

/**
 * Installs the packages of the lockfile for a platform, as a clone there does. Runs none of them, so any machine can do it.
 *
 * @returns the tools whose binary is missing
 * @throws when the lockfile does not allow a frozen install
 */
export async function findPlatformGaps(root: string, { os, cpu, libc }: Platform): Promise<string[]> {
  await using folder = await openTemporaryFolder('platform')
  for (const file of globSync(
    [
      'package.json',
      'pnpm-*.yaml',
      '.npmrc',
      'infra/package.json',
      '{apps,packages}/*/package.json',
      'infra/generator/templates/*/package.json',
    ],
    { cwd: root },
  )) {
    await mkdir(join(folder.path, dirname(file)), { recursive: true })
    await cp(join(root, file), join(folder.path, file))
  }
  const platform = [`--os=${os}`, `--cpu=${cpu}`, ...(libc ? [`--libc=${libc}`] : [])]
  const args = ['pnpm', 'install', '--frozen-lockfile', '--ignore-scripts', ...platform]
  await promisify(execFile)('npx', args, { cwd: folder.path, maxBuffer: 2 ** 26 })

  const installed = globSync('node_modules/.pnpm/*/node_modules/{*,@*/*}/package.json', {
    cwd: folder.path,
  }).map((file) => JSON.parse(readFileSync(join(folder.path, file), 'utf8')) as Manifest)
  const isOfPlatform = (one: Manifest): boolean =>
    [
      [one.os, os],
      [one.cpu, cpu],
      [one.libc, libc],
    ].every(([names, name]) => names === undefined || names.includes(name as string))
  const binaries = new Set(
    installed.filter((one) => one.os !== undefined && isOfPlatform(one)).map(({ name }) => name),
  )
  return TOOLS.filter((tool) => {
    const brought = installed.find(({ name }) => name === tool)?.optionalDependencies
    return !brought || !Object.keys(brought).some((name) => binaries.has(name))
  })
}
