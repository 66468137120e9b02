import { createHash } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { Service } from '@repo/service'

/** The page may load its own files and `data:` images, and send requests to its origin; nothing else, nothing inline. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Serves the page that the build wrote to `directory`: the document at `/`, and its files below `/assets/`. */
export async function pageRoutes(app: Service, { directory }: { directory: string }): Promise<void> {
  await assertBuilt(directory)
  await app.register(fastifyStatic, {
    root: join(directory, 'assets'),
    serve: false,
    // The name of an asset has a hash of its content, so its content never changes.
    immutable: true,
    maxAge: '1y',
  })

  app.get('/', { config: { access: 'public' }, schema: { hide: true } }, async (request, reply) => {
    const html = await readFile(join(directory, 'index.html'))
    // A hash of the content, not of size and date: two releases can have a document of the same size, and reproducible
    // images have files of the same date. A browser would then keep the page of the old release.
    const etag = `"${createHash('sha256').update(html).digest('base64url')}"`
    reply.headers({
      'cache-control': 'no-cache',
      etag,
    })
    if (request.headers['if-none-match']?.includes(etag)) return reply.code(304).send()
    return reply.type('text/html; charset=utf-8').send(html)
  })

  // Where password managers send their users: https://www.w3.org/TR/change-password-url/
  app.get(
    '/.well-known/change-password',
    { config: { access: 'public' }, schema: { hide: true } },
    (_request, reply) => reply.redirect('/#/account', 302),
  )

  app.get<{ Params: { '*': string } }>(
    '/assets/*',
    { config: { access: 'public' }, schema: { hide: true } },
    (request, reply) => reply.sendFile(request.params['*']),
  )
}

/** @throws when a file of the build is missing, before any client requests it. */
async function assertBuilt(directory: string): Promise<void> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, '.vite/manifest.json'), 'utf8')) as Manifest
    const files = Object.values(manifest).flatMap(({ file, css = [], assets = [] }) => [
      file,
      ...css,
      ...assets,
    ])
    await Promise.all(['index.html', ...files].map((file) => access(join(directory, file))))
  } catch (cause) {
    throw new Error(
      `The page is not built (${(cause as Error).message}). Build it with: pnpm --filter @repo/web build`,
      {
        cause,
      },
    )
  }
}

/** @see https://vite.dev/guide/backend-integration */
type Manifest = Record<string, { file: string; css?: string[]; assets?: string[] }>
