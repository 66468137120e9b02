import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import type { Ground } from './ground.ts'
import { planted, type Check } from './run-checks.ts'
import { verifyProcfile } from './verify-procfile.ts'

const run = promisify(execFile)

/** Checks of the files that platforms read. */
export async function platformChecks(ground: Ground): Promise<Check[]> {
  const { root } = ground
  const composeFile = join(root, 'infra/deploy/compose/compose.yaml')
  const procfile = join(root, 'Procfile')
  return [
    ...(await kubernetesChecks(root)),
    {
      name: 'Compose: infra/deploy/compose/compose.yaml is understood by docker-compose',
      run: () => listServices(composeFile),
    },
    planted('Compose, a misspelled field', /enviroment/, () =>
      withChanged(composeFile, /environment:/, 'enviroment:', listServices),
    ),
    planted('Compose, a service that waits for nobody', /migrat\b/, () =>
      withChanged(composeFile, /migrate: \{/, 'migrat: {', listServices),
    ),
    {
      name: 'the Procfile is run by foreman, two processes of each type',
      run: () => verifyProcfile(ground, procfile),
    },
    planted('Procfile, a program that is not there', /serve\.js/, () =>
      withChanged(procfile, /dist\/server\.js$/m, 'dist/serve.js', (file) => verifyProcfile(ground, file)),
    ),
    planted('Procfile, a shell that stays in front of its process', /still answer/, () =>
      withChanged(procfile, /^(web: .*)$/m, '$1; true', (file) => verifyProcfile(ground, file)),
    ),
  ]
}

/** Their packages are not in the workspace; they are installed on the first call. */
async function kubernetesChecks(root: string): Promise<Check[]> {
  const folder = join(root, 'infra/starter/verify/kubernetes')
  if (!existsSync(join(folder, 'node_modules'))) {
    const flags = ['--dir', folder, '--ignore-workspace', '--frozen-lockfile']
    await run('pnpm', ['install', ...flags], { cwd: root })
  }
  const { listChecks } = await import('./kubernetes/list-checks.ts')
  return listChecks(root)
}

async function listServices(file: string): Promise<string> {
  const { stdout } = await run('docker-compose', ['-f', file, 'config', '--services'])
  return stdout.trim().split('\n').join(', ')
}

/** Calls `use` with a copy of the file in which the first match of `place` is replaced. */
async function withChanged(
  file: string,
  place: RegExp,
  text: string,
  use: (file: string) => Promise<string>,
): Promise<string> {
  await using folder = await openTemporaryFolder('planted')
  const changed = join(folder.path, 'changed')
  await writeFile(changed, (await readFile(file, 'utf8')).replace(place, text))
  return await use(changed)
}
