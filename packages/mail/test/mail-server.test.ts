import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { needs } from '@repo/testing/programs'
import { startAiosmtpd } from '@repo/testing/servers/start-aiosmtpd'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineMail, openMailer } from '../src/index.ts'

const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())

const hello = defineMail<string>((name) => ({
  subject: `Hello ${name}`,
  body: ['Hello.', { link: 'Begin', href: 'https://example.com/begin?a=1&b=2' }],
}))
const mail = hello('ada@example.com', 'Ada')

async function send(url: string): Promise<string> {
  await using mailer = openMailer(url, { from: 'Example <mail@example.com>', connectWithinMs: 2000 })
  try {
    await mailer.check()
    await mailer.send(mail, 'hello 1')
    return 'sent'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('a mail server that somebody else wrote', needs('aiosmtpd'), () => {
  let certificate: { key: string; cert: string }

  beforeAll(async () => {
    const { path } = resources.use(await openTemporaryFolder('certificate'))
    certificate = { key: join(path, 'key.pem'), cert: join(path, 'cert.pem') }
    // The last address is 127.0.0.1 as well, and is not called loopback: for it, the rules of all other hosts apply.
    const names = 'subjectAltName=IP:127.0.0.1,IP:::ffff:7f00:1'
    const args = ['req', '-x509', '-days', '1', '-subj', '/CN=mail', '-addext', names, '-nodes']
    const files = ['-newkey', 'rsa:2048', '-keyout', certificate.key, '-out', certificate.cert]
    await promisify(execFile)('openssl', [...args, ...files])
  })

  test('takes a mail on loopback, without TLS', async () => {
    const server = resources.use((await startAiosmtpd())!)
    expect(await send(server.url)).toBe('sent')
    const [text] = await server.mails()
    expect(text).toMatch(/^From: Example <mail@example.com>$/m)
    expect(text).toMatch(/^Auto-Submitted: auto-generated$/m)
    expect(text).toMatch(/^Message-ID: <[\w-]{43}@example.com>$/im)
  })

  test('gets no mail from elsewhere unless it offers STARTTLS, but where the URL says so', async () => {
    const server = resources.use((await startAiosmtpd())!)
    expect(await send(`smtp://[::ffff:127.0.0.1]:${server.port}`)).toBe('MAIL_UNAVAILABLE')
    expect(await server.mails()).toEqual([])
    expect(await send(`smtp://[::ffff:127.0.0.1]:${server.port}?tls=off`)).toBe('sent')
  })

  test('is believed over TLS only with a certificate that is trusted, except on loopback with STARTTLS', async () => {
    const startTls = resources.use(
      (await startAiosmtpd({ certificate: { kind: 'startTls', ...certificate } }))!,
    )
    const implicit = resources.use((await startAiosmtpd({ certificate: { kind: 'tls', ...certificate } }))!)
    const required = `smtp://[::ffff:127.0.0.1]:${startTls.port}`
    expect(await send(startTls.url)).toBe('sent')
    expect([await send(required), await send(implicit.url)]).toEqual(['MAIL_UNAVAILABLE', 'MAIL_UNAVAILABLE'])
    expect(await implicit.mails()).toEqual([])

    const known = getCACertificates()
    setDefaultCACertificates([...known, await readFile(certificate.cert, 'utf8')])
    resources.defer(() => setDefaultCACertificates(known))
    expect([await send(required), await send(implicit.url)]).toEqual(['sent', 'sent'])
    expect(await implicit.mails()).toHaveLength(1)
  })
})
