import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProcessType } from '../../formation.ts'
import { listFiles } from '../list-files.ts'
import type { Unpacked } from './open-images.ts'

const MOST_BYTES = 200_000_000

/** Files that an image must not contain, by a pattern of their path. */
const STRANGERS: [pattern: RegExp, what: string][] = [
  [/(^|\/)node_modules\//, 'a node_modules, though a bundle needs none'],
  [/\.m?tsx?$/, 'a source, which would have to be compiled'],
  [/(^|\/)(sh|bash|dash|npm|npx|pnpm|yarn|turbo)$/, 'a shell or a package manager'],
  [/(^|\/)(\.env[^/]*|\.npmrc|\.secrets\/.*|\.dev\/.*|\.git\/.*)$/, 'what a clone keeps to itself'],
]

/** What an image is compared with. */
export interface Expected {
  type: ProcessType
  /** `name@version` of each package in its bill of materials. */
  listed: ReadonlySet<string>
  /** Variables that an image must not set. */
  secretNames: readonly string[]
  /** Values that no file of ours in the image may contain. */
  secrets: readonly string[]
}

/** @returns the problems of an image that does not run, one sentence each */
export async function imageProblems(image: Unpacked, expected: Expected): Promise<string[]> {
  const paths = await listFiles(image.folder)
  return [
    ...configProblems(image, expected),
    ...STRANGERS.flatMap(([pattern, what]) => {
      const found = paths.find((path) => pattern.test(path))
      return found ? [`it has ${what}: ${found}`] : []
    }),
    ...(await contentProblems(image, paths, expected)),
  ]
}

function configProblems(
  { config, history, bytes }: Unpacked,
  { type: { name }, secretNames }: Expected,
): string[] {
  const { Entrypoint: [program] = [], Healthcheck, Labels, User } = config
  const [kind, checker] = Healthcheck?.Test ?? []
  const claims: [isTrue: boolean, otherwise: string][] = [
    [bytes <= MOST_BYTES, `it weighs ${Math.round(bytes / 1e6)} MB, more than ${MOST_BYTES / 1e6}`],
    [/^[1-9]\d*:[1-9]\d*$/.test(User), `it runs as "${User}", which may be root`],
    [
      program?.endsWith('/node') === true,
      `process 1 is ${program}, which is not Node and gets no signal for it`,
    ],
    [kind === 'CMD' && checker === program, 'it has no health check that Node runs without a shell'],
    [Labels['org.opencontainers.image.title'] === `nonstick/${name}`, 'its title is another'],
    [
      /^[\da-f]{40}$/.test(Labels['org.opencontainers.image.revision'] ?? ''),
      'it does not say of which revision it is',
    ],
  ]
  return [
    ...claims.filter(([isTrue]) => !isTrue).map(([, otherwise]) => otherwise),
    ...secretNames
      .filter((secret) => history.includes(`${secret}=`))
      .map((secret) => `${secret} is set in it`),
  ]
}

/** The problems of our own files in the image. */
async function contentProblems(
  { folder }: Unpacked,
  paths: readonly string[],
  { type, listed, secrets }: Expected,
): Promise<string[]> {
  const problems: string[] = []
  if (type.page && !paths.includes(`app/${type.page}/index.html`)) problems.push('its page was not built')
  for (const path of paths.filter((path) => path.startsWith('app/'))) {
    const content = await readFile(join(folder, path))
    if (secrets.some((secret) => content.includes(secret))) problems.push(`a secret is in ${path}`)
    if (!path.endsWith('.map')) continue
    const { sources } = JSON.parse(content.toString()) as { sources: string[] }
    const bundled = new Set(sources.flatMap(packageOf))
    const unlisted = [...bundled].filter((name) => !listed.has(name))
    problems.push(...unlisted.map((name) => `${name} is bundled into it, and not in its list`))
  }
  return problems
}

/** `name@version` from a path in a source map: `.pnpm/<name>@<version>_<peers>/node_modules/<name>/`. Else empty. */
function packageOf(source: string): string[] {
  const [, folder, name] =
    /node_modules\/\.pnpm\/([^/]+)\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? []
  if (!folder || !name) return []
  return [`${name}@${folder.slice(name.length + 1).split('_')[0]}`]
}
