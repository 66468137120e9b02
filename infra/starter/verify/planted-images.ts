import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { build } from '../../deploy/image/build-image.ts'
import type { Images, Unpacked } from './open-images.ts'

/** Lines to add to the Dockerfile of a good image. */
export interface Additions {
  lines: string[]
  /** The files that the lines copy: text by name. */
  files?: Record<string, string>
}

/** A planted mistake. */
export interface Planted extends Additions {
  what: string
  /** The error with which it must be found. */
  expected: RegExp
}

/** Replaces main.js. The text may import the image's own `./server.js`. */
export function withMain(main: string): Additions {
  return { lines: ['COPY main.js /app/main.js'], files: { 'main.js': main } }
}

/** Mistakes that show without running the image. */
export function mistakesThatLie(secret: string, shellFrom: string): Planted[] {
  return [
    { what: 'root', lines: ['USER 0'], expected: /may be root/ },
    {
      what: 'a shell as process 1',
      lines: [
        `COPY --from=${shellFrom} /bin/sh /bin/sh`,
        'ENTRYPOINT ["/bin/sh", "-c", "/nodejs/bin/node main.js"]',
      ],
      expected: /process 1 is \/bin\/sh/,
    },
    { what: 'a shell', lines: [`COPY --from=${shellFrom} /bin/sh /bin/sh`], expected: /a shell/ },
    {
      what: 'a secret in the environment',
      lines: [`ENV SESSION_SECRETS=${secret}`],
      expected: /SESSION_SECRETS is set/,
    },
    {
      what: 'a secret in a file',
      lines: ['COPY settings.js /app/settings.js'],
      files: { 'settings.js': `export const secret = '${secret}'` },
      expected: /a secret is in app\/settings\.js/,
    },
    {
      what: 'a file of secrets',
      lines: ['COPY production.env /app/.env'],
      files: { 'production.env': 'A=1' },
      expected: /a clone keeps to itself: app\/\.env/,
    },
    {
      what: 'a tool of development',
      lines: ['COPY vitest.js /app/node_modules/vitest/index.js'],
      files: { 'vitest.js': '' },
      expected: /a node_modules/,
    },
    {
      what: 'a tool of development in the bundle',
      lines: ['COPY any.js.map /app/any.js.map'],
      files: {
        'any.js.map': '{"sources":["../../../node_modules/.pnpm/vitest@5.1.1/node_modules/vitest/a.js"]}',
      },
      expected: /vitest@5\.1\.1 is bundled into it/,
    },
    {
      what: 'a source that is compiled at run time',
      lines: ['COPY server.ts /app/server.ts'],
      files: { 'server.ts': '' },
      expected: /would have to be compiled/,
    },
    {
      what: 'more than it may weigh',
      lines: ['COPY much /app/much'],
      files: { much: '0'.repeat(80_000_000) },
      expected: /it weighs/,
    },
    { what: 'no health check', lines: ['HEALTHCHECK NONE'], expected: /no health check/ },
    {
      what: 'no title',
      lines: ['LABEL org.opencontainers.image.title=node'],
      expected: /its title is another/,
    },
    {
      what: 'no revision',
      lines: ['LABEL org.opencontainers.image.revision=latest'],
      expected: /of which revision/,
    },
  ]
}

/** Mistakes that show only when the image runs. */
export const mistakesThatRun: Planted[] = [
  {
    what: 'a secret in the log',
    ...withMain(`console.log(process.env.SESSION_SECRETS); await import('./server.js')`),
    expected: /a secret is in its log/,
  },
  {
    what: 'a secret in the process list',
    ...withMain(`import { spawn } from 'node:child_process'
spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)', process.env.SESSION_SECRETS])
await import('./server.js')`),
    expected: /among the arguments of a process/,
  },
  {
    what: 'a file beside the program',
    ...withMain(`import { writeFileSync } from 'node:fs'
writeFileSync('state.json', '{}')
await import('./server.js')`),
    expected: /EROFS/,
  },
  {
    what: 'a file in another place that can be written to',
    ...withMain(`import { writeFileSync } from 'node:fs'
writeFileSync('/dev/shm/state.json', '{}')
await import('./server.js')`),
    expected: /outside its temporary folder: .*state\.json/,
  },
  {
    what: 'a process 1 that hears no signal',
    ...withMain(`import { createServer } from 'node:http'
createServer((_, response) => response.end()).listen(process.env.PORT)`),
    expected: /it had to be killed/,
  },
  {
    what: 'more memory than it may have',
    ...withMain(`globalThis.kept = []
while (kept.length < 1024) kept.push(Buffer.alloc(1024 * 1024, 1))
await import('./server.js')`),
    // Without a control group the memory is measured instead.
    expected: /it ended before it was ready|it takes \d+ MiB/,
  },
  {
    what: 'a health check that asks a missing route',
    lines: [
      'HEALTHCHECK CMD ["/nodejs/bin/node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1))"]',
    ],
    expected: /its health check fails/,
  },
]

/** Builds an image from a good one. */
export async function buildPlanted(
  images: Images,
  image: string,
  { lines, files = {} }: Additions,
): Promise<Unpacked> {
  await using folder = await openTemporaryFolder('planted')
  const dockerfile = [`FROM ${image}`, ...lines, ''].join('\n')
  for (const [name, text] of Object.entries({ ...files, Dockerfile: dockerfile })) {
    await writeFile(join(folder.path, name), text)
  }
  const tag = 'nonstick-planted'
  await build(images.builder, join(folder.path, 'Dockerfile'), folder.path, { tag })
  return images.unpack(`localhost/${tag}`)
}
