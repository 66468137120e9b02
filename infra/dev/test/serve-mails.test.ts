import { defineMail, openMailer } from '@repo/mail'
import { freePort } from '@repo/testing/ports'
import { startMailCatcher } from '@repo/testing/start-mail-catcher'
import { request } from 'undici'
import { expect, test } from 'vitest'
import { serveMails } from '../serve-mails.ts'

const begin = defineMail<string>((name) => ({
  subject: `Begin, ${name}`,
  body: [`Dear ${name},`, { link: 'Begin', href: 'http://localhost:3000/begin?a=1&b=2' }],
}))

test('mails can be read in a browser, the newest first, and their links followed', async () => {
  await using catcher = await startMailCatcher()
  await using page = await serveMails(catcher, await freePort())
  const get = async (path: string, host?: string) => {
    const headers = host === undefined ? {} : { host }
    const { statusCode, headers: answered, body } = await request(page.url + path, { headers, reset: true })
    return { statusCode, headers: answered, text: await body.text() }
  }
  expect((await get('/')).text).toContain('None yet')

  await using mailer = openMailer(catcher.env.MAIL_URL, { from: catcher.env.MAIL_FROM })
  await mailer.send(begin('ada@example.com', 'Ada'), 'begin 1')
  await mailer.send(begin('eve@example.com', '<script>alert(1)</script>'), 'begin 2')
  const list = await get('/')
  expect(list.text.match(/<a href="\/\d+">.*?<\/a>/g)).toEqual([
    '<a href="/2">Begin, &lt;script&gt;alert(1)&lt;/script&gt;</a>',
    '<a href="/1">Begin, Ada</a>',
  ])

  const { text, headers } = await get('/1')
  // The text, and the HTML in its frame, escaped once more.
  expect(text).toContain('<a href="http://localhost:3000/begin?a=1&amp;b=2" target="_blank">')
  expect(text).toContain(
    '&lt;a href=&quot;http://localhost:3000/begin?a=1&amp;amp;b=2&quot;&gt;Begin&lt;/a&gt;',
  )
  expect(text).toMatch(/<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc=/)
  expect(headers['content-security-policy']).toContain("default-src 'none'")
  expect((await get('/2')).text).not.toContain('<script')

  expect((await get('/3')).statusCode).toBe(404)
  expect((await get('/1', 'rebound.example')).statusCode).toBe(404)
  expect((await get('/1', 'rebound.example')).text).not.toContain('Ada')
})
