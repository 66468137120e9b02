import { once } from 'node:events'
import PostalMime from 'postal-mime'
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server'
import { pollUntil } from './poll-until.ts'
import { freePort } from './ports.ts'

/** A mail that was sent to the catcher. */
export interface CaughtMail {
  /** Counts from 1 in the order of arrival. */
  readonly id: number
  readonly receivedAt: Date
  /** The addresses of the envelope. */
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly text: string
  readonly html: string
  /** The URLs in the text. */
  readonly links: readonly string[]
  /** By their names in lower case, as `message-id`. */
  readonly headers: Readonly<Record<string, string>>
}

/** A mail server on loopback that delivers nothing: it keeps the mails that it gets. */
export interface MailCatcher extends AsyncDisposable {
  /** The environment of a process that sends its mails here. */
  readonly env: { readonly MAIL_URL: string; readonly MAIL_FROM: string }
  /** The mails that are kept, the newest first; with an address, those to it. */
  mails(to?: string): CaughtMail[]
  /**
   * Resolves to the nth mail to this address, in the order of arrival; default the first.
   *
   * @throws when it has not arrived within 10 s
   */
  waitForMail(to: string, nth?: number): Promise<CaughtMail>
}

/** More than a developer looks through, and less than 100 MB. */
const KEPT = 100
const MAX_BYTES = 1_000_000

/** Starts a mail catcher, in this process. It keeps the last 100 mails, in memory, of at most 1 MB each. */
export async function startMailCatcher(): Promise<MailCatcher> {
  const caught: CaughtMail[] = []
  let arrived = 0
  const port = await freePort()

  const server = new SMTPServer({
    // A sender on loopback needs neither. The certificate that this library brings is for anybody to use.
    disabledCommands: ['AUTH', 'STARTTLS'],
    size: MAX_BYTES,
    disableReverseLookup: true,
    closeTimeout: 1000,
    logger: false,
    onData(stream, { envelope }, done) {
      const from = envelope.mailFrom ? envelope.mailFrom.address : ''
      const to = envelope.rcptTo.map(({ address }) => address)
      keep(stream, from, to).then(() => done(), done)
    },
  })
  // As from a client that was killed in the middle of a mail.
  server.on('error', () => {})
  await once(server.listen(port, '127.0.0.1'), 'listening')

  async function keep(stream: SMTPServerDataStream, from: string, to: string[]): Promise<void> {
    const raw = Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>))
    if (stream.sizeExceeded) throw Object.assign(new Error('The mail is too large'), { responseCode: 552 })
    const { subject = '', text = '', html = '', headers } = await PostalMime.parse(raw)
    caught.unshift({
      id: ++arrived,
      receivedAt: new Date(),
      from,
      to,
      subject,
      text,
      html,
      links: text.match(/https?:\/\/\S+/g) ?? [],
      headers: Object.fromEntries(headers.map(({ key, value }) => [key, value])),
    })
    caught.length = Math.min(caught.length, KEPT)
  }

  function mails(to?: string): CaughtMail[] {
    return caught.filter((mail) => to === undefined || mail.to.includes(to))
  }

  return {
    env: { MAIL_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: 'Development <mail@localhost>' },
    mails,
    async waitForMail(to, nth = 1) {
      await pollUntil(`${to} has got ${nth} mails`, () => mails(to).length >= nth)
      return mails(to).at(-nth)!
    },
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(resolve)),
  }
}
