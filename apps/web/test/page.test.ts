import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../src/app.ts'
import { buildPage, ENV, openHouse, type House } from './start-edge.ts'

let house: House
let edge: string
let html: string

beforeAll(async () => {
  house = await openHouse()
  edge = await house.edge(ENV.UPSTREAMS)
  html = await (await fetch(edge)).text()
})
afterAll(() => house[Symbol.asyncDispose]())

test('the document is revalidated each time, and is not sent again when it is unchanged', async () => {
  const { status, headers } = await fetch(edge)
  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(headers.get('cache-control')).toBe('no-cache')

  const again = await fetch(edge, { headers: { 'if-none-match': headers.get('etag')! } })
  expect([again.status, await again.text()]).toEqual([304, ''])
  expect((await fetch(edge, { headers: { 'if-none-match': '"of another release"' } })).status).toBe(200)
  const head = await fetch(edge, { method: 'HEAD' })
  expect([head.status, head.headers.get('etag'), await head.text()]).toEqual([200, headers.get('etag'), ''])
})

test('everything the document loads is there, of the right type, and may be kept for ever', async () => {
  const paths = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!)
  const types = { js: 'javascript', css: 'text/css', svg: 'image/svg+xml' }
  expect(paths.map((path) => path.split('.').at(-1)).sort()).toEqual(['css', 'js', 'svg'])
  for (const path of paths) {
    expect(path).toMatch(/^\/assets\/\w+-[\w-]{8}\.\w+$/)
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await fetch(edge + path, { method })
      expect([path, status]).toEqual([path, 200])
      expect(headers.get('content-type')).toContain(types[path.split('.').at(-1) as keyof typeof types])
      expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    }
  }
})

test('nothing in the document is inline, and the policy allows nothing inline', async () => {
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/)
  const policy = (await fetch(edge)).headers.get('content-security-policy')
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toContain('unsafe')
})

test('a password manager finds where the password is changed', async () => {
  const path = `${edge}/.well-known/change-password`
  const { status, headers } = await fetch(path, { redirect: 'manual' })
  expect([status, headers.get('location')]).toEqual([302, '/#/account'])
  // With this name a manager asks whether the site answers 200 to everything.
  const other = `${edge}/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200`
  expect((await fetch(other)).status).toBe(404)
})

test('an unknown path gets a problem document, and files beside the page cannot be reached', async () => {
  const paths = [
    '/assets/none-12345678.js',
    '/assets/',
    '/assets',
    '/index.html',
    '/.vite/manifest.json',
    '/x',
  ]
  for (const path of [
    ...paths,
    '/assets/../index.html',
    '/assets/%2e%2e/.vite/manifest.json',
    '/assets/..%2findex.html',
  ]) {
    const response = await fetch(edge + path)
    expect([path, response.status]).toEqual([
      path,
      expect.toSatisfy((code: number) => code >= 400 && code < 500),
    ])
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(response.headers.get('cache-control')).toBeNull()
  }
})

test('an edge whose page is not built, or not whole, does not start and says what is missing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'nonstick-web-'))
  try {
    await expect(buildApp(ENV, { page: folder })).rejects.toThrow(/The page is not built.*manifest\.json/)
    await buildPage(folder)
    const [asset] = await readdir(join(folder, 'assets'))
    await rm(join(folder, 'assets', asset!))
    await expect(buildApp(ENV, { page: folder })).rejects.toThrow(asset!)
  } finally {
    await rm(folder, { recursive: true })
  }
})
