import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, expect, test } from 'vitest'
import { defineMail, openMailer } from '../src/index.ts'

const from = 'mail@example.com'
const hello = defineMail<string>((name) => ({ subject: `Hello ${name}`, body: ['Hello.'] }))
const mail = hello('ada@example.com', 'Ada')

let resources = new AsyncDisposableStack()
afterEach(async () => {
  await resources.disposeAsync()
  resources = new AsyncDisposableStack()
})

/** A mail server that answers as it is told, without TLS. Resolves to its address. */
async function startServer(options: SMTPServerOptions): Promise<string> {
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    authOptional: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    logger: false,
    ...options,
  })
  server.on('error', () => {})
  const net = server.listen(0, '127.0.0.1')
  await once(net, 'listening')
  resources.defer(() => new Promise((resolve) => server.close(resolve)))
  return `127.0.0.1:${(net.address() as AddressInfo).port}`
}

/** A server that only speaks as it is told, line by line. */
async function startScript(
  onLine: (line: string, socket: Socket) => void,
  greeting = '220 here\r\n',
): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.write(greeting)
    let rest = ''
    socket.on('data', (chunk) => {
      const lines = (rest + String(chunk)).split('\r\n')
      rest = lines.pop()!
      for (const line of lines) onLine(line, socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  resources.defer(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function open(host: string, login = ''): ReturnType<typeof openMailer> {
  return resources.use(
    openMailer(`smtp://${login}${host}`, { from, connectWithinMs: 500, answerWithinMs: 500 }),
  )
}

function answer(responseCode: number): Error {
  return Object.assign(new Error('not that one'), { responseCode })
}

test.each([
  ['an unknown recipient', { onRcptTo: (_, __, done) => done(answer(550)) }, 'MAIL_REFUSED'],
  ['a full mailbox', { onRcptTo: (_, __, done) => done(answer(452)) }, 'MAIL_UNAVAILABLE'],
  [
    'content that it rejects',
    { onData: (stream, _, done) => stream.resume().on('end', () => done(answer(554))) },
    'MAIL_REFUSED',
  ],
  [
    'content that it takes later',
    { onData: (stream, _, done) => stream.resume().on('end', () => done(answer(451))) },
    'MAIL_UNAVAILABLE',
  ],
  ['a sender that is not allowed', { onMailFrom: (_, __, done) => done(answer(550)) }, 'MAIL_UNAVAILABLE'],
  ['everybody', { onConnect: (_, done) => done(answer(554)) }, 'MAIL_UNAVAILABLE'],
] satisfies [string, SMTPServerOptions, string][])('a server that refuses %s', async (_, options, code) => {
  const mailer = open(await startServer(options))
  await expect(mailer.send(mail, 'hello 1')).rejects.toMatchObject({ code, cause: expect.any(Error) })
})

test('a login is decoded, and a wrong one is an operator’s to mend: the mail waits', async () => {
  const host = await startServer({
    authOptional: false,
    onAuth: ({ username, password }, _, done) =>
      username === 'ada@example.com' && password === 'p@ss:w/'
        ? done(null, { user: 'ada' })
        : done(answer(535)),
    onData: (stream, _, done) => stream.resume().on('end', () => done()),
  })
  const right = open(host, 'ada%40example.com:p%40ss%3Aw%2F@')
  await right.check()
  await right.send(mail, 'hello 1')
  const wrong = open(host, 'ada%40example.com:hunter2@')
  await expect(wrong.check()).rejects.toMatchObject({ code: 'MAIL_UNAVAILABLE' })
  await expect(wrong.send(mail, 'hello 1')).rejects.toMatchObject({ code: 'MAIL_UNAVAILABLE' })
})

test('a server that is not there, says nothing, or falls silent in a mail does not hold the job for ever', async () => {
  const gone = await startScript(() => {})
  await resources.disposeAsync()
  resources = new AsyncDisposableStack()
  const mute = await startScript(() => {}, '')
  const silent = await startScript((line, socket) => {
    if (line.startsWith('EHLO')) socket.write('250 here\r\n')
  })
  for (const host of [gone, mute, silent]) {
    const mailer = open(host)
    await expect(mailer.send(mail, 'hello 1')).rejects.toMatchObject({ code: 'MAIL_UNAVAILABLE' })
    await expect(open(mute).check()).rejects.toMatchObject({ code: 'MAIL_UNAVAILABLE' })
  }
})

test('an answer that is lost after the mail looks like a failure, and the second copy has the same Message-ID', async () => {
  const ids: string[] = []
  let isLost = true
  const host = await startScript((line, socket) => {
    if (/^message-id:/i.test(line)) ids.push(line)
    if (line === '.') {
      if (isLost) socket.destroy()
      else socket.write('250 taken\r\n')
      isLost = false
    } else if (line === 'DATA') socket.write('354 go on\r\n')
    else if (/^(EHLO|MAIL|RCPT|QUIT)/.test(line)) socket.write('250 yes\r\n')
  })
  const mailer = open(host)
  await expect(mailer.send(mail, 'hello 1')).rejects.toMatchObject({ code: 'MAIL_UNAVAILABLE' })
  await mailer.send(mail, 'hello 1')
  expect(ids).toHaveLength(2)
  expect(ids[1]).toBe(ids[0])
})

test.each([
  ['a line break in the subject', { subject: 'Hello\r\nBcc: eve@example.com' }],
  ['two recipients', { to: 'ada@example.com, eve@example.com' }],
  ['a recipient with a name', { to: 'Ada <ada@example.com>' }],
  ['a recipient with a line break', { to: 'ada@example.com\r\nBcc: eve@example.com' }],
  ['no recipient', { to: '' }],
])('%s is refused before anything is sent', async (_, more) => {
  const lines: string[] = []
  const mailer = open(await startScript((line) => void lines.push(line)))
  await expect(mailer.send({ ...mail, ...more }, 'hello 1')).rejects.toMatchObject({ code: 'MAIL_INVALID' })
  expect(lines).toEqual([])
})

test.each(['javascript:alert(1)', '/orders', 'mailto:eve@example.com'])('%s is no link of a mail', (href) => {
  const linking = defineMail<string>((href) => ({ subject: 'Look', body: [{ link: 'here', href }] }))
  expect(() => linking('ada@example.com', href)).toThrow(expect.objectContaining({ code: 'MAIL_INVALID' }))
})

test('a mailer that is closed has sent what was under way', async () => {
  let taken = 0
  const host = await startServer({
    onData: (stream, _, done) => stream.resume().on('end', () => setTimeout(() => (taken++, done()), 100)),
  })
  const mailer = openMailer(`smtp://${host}`, { from })
  const sent = mailer.send(mail, 'hello 1')
  await mailer[Symbol.asyncDispose]()
  expect(taken).toBe(1)
  await sent
})
