import { createHash } from 'node:crypto'
import { createTransport } from 'nodemailer'
import type { Mail } from './define-mail.ts'
import { MailFromInvalid, MailInvalid, MailRefused, MailUnavailable } from './mail-error.ts'
import { parseMailUrl, type MailServer } from './mail-url.ts'

export interface MailerOptions {
  /** The sender: an address, with or without a name, as `Example <accounts@example.com>`. */
  from: string
  /** How long a connection and the server's greeting may take. Default 10 s. */
  connectWithinMs?: number
  /**
   * How long the server may be silent in the middle of a mail. Default 60 s. RFC 5321 asks for more (4.5.3.2), because a
   * client that gives up while the server stores a mail will send it again; but a worker that stops waits 15 s.
   */
  answerWithinMs?: number
}

/** Sends mails, each over a connection of its own. */
export interface Mailer extends AsyncDisposable {
  /**
   * Sends a mail. Resolves when the server has taken it over: then the server delivers it, or reports to the sender's address.
   *
   * SMTP cannot promise that a mail arrives exactly once. If the connection breaks after the mail was sent and before the
   * server's answer has arrived, only the server knows that it has the mail, and whoever tries again sends it twice (RFC
   * 5321 4.5.4.1, RFC 1047). So the cause becomes the Message-ID: mails of one cause have the same, by which mail systems
   * recognise a second copy, and many show only one.
   *
   * @param cause what made the mail necessary, unique and the same at each try: `accounts.reset 42`. It is sent as a hash
   * @throws MAIL_UNAVAILABLE: try again later
   * @throws MAIL_REFUSED: the server will never take this mail, so to try again is useless
   * @throws MAIL_INVALID: the mail is not sendable, as one with a line break in its subject
   * @see https://www.rfc-editor.org/rfc/rfc5322#section-3.6.4
   */
  send(mail: Mail, cause: string): Promise<void>
  /**
   * Connects and logs in, and sends nothing.
   *
   * @throws MAIL_UNAVAILABLE
   */
  check(): Promise<void>
}

/**
 * Opens a mailer. It connects with the first mail.
 *
 * @param url as `parseMailUrl` describes it
 * @throws MAIL_URL_INVALID, MAIL_FROM_INVALID
 */
export function openMailer(url: string, options: MailerOptions): Mailer {
  const { connectWithinMs = 10_000, answerWithinMs = 60_000 } = options
  const from = parseSender(options.from)
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1)
  const underWay = new Set<Promise<unknown>>()
  const transport = createTransport({
    ...connectionOf(parseMailUrl(url)),
    dnsTimeout: connectWithinMs,
    connectionTimeout: connectWithinMs,
    greetingTimeout: connectWithinMs,
    socketTimeout: answerWithinMs,
    // A mail is text that is given. Nothing in it names a file or a URL to be read.
    disableFileAccess: true,
    disableUrlAccess: true,
  })

  async function work<T>(promise: Promise<T>): Promise<T> {
    underWay.add(promise)
    try {
      return await promise
    } catch (cause) {
      throw toMailError(cause as SmtpError)
    } finally {
      underWay.delete(promise)
    }
  }

  return {
    async send({ to, subject, text, html }, cause) {
      if (!ADDRESS.test(to)) throw new MailInvalid('one address without a name in "to"')
      if (/\p{Cc}/u.test(subject)) throw new MailInvalid('a subject without line breaks')
      if (cause === '') throw new MailInvalid('a cause')
      const messageId = `<${createHash('sha256').update(cause).digest('base64url')}@${domain}>`
      // RFC 3834: with this header, no vacation responder answers.
      const headers = { 'Auto-Submitted': 'auto-generated' }
      const recipient = { name: '', address: to }
      await work(
        transport.sendMail({ from, to: recipient, subject, text, html, messageId, headers, xMailer: false }),
      )
    },
    async check() {
      await work(transport.verify())
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(underWay)
      transport.close()
    },
  }
}

// Whitespace, commas and angle brackets would make it a header with more than one address.
const ADDRESS = /^[^\s\p{Cc}<>()[\]\\,;:@"]+@[^\s\p{Cc}<>()\\,;:@"]+$/u

function parseSender(text: string): { name: string; address: string } {
  const [, name = '', address = text] = /^([^<>\p{Cc}]*) <([^<>]+)>$/u.exec(text) ?? []
  if (!ADDRESS.test(address)) throw new MailFromInvalid()
  return { name: name.replace(/^"(.*)"$/, '$1'), address }
}

/** nodemailer's options for the encryption of a connection. It verifies certificates, except on loopback. */
function connectionOf({ host, port, tls, login }: MailServer) {
  return {
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'required',
    ignoreTLS: tls === 'off',
    // A mail server on this machine has a certificate for its public name, if any.
    ...(tls === 'offered' && { tls: { rejectUnauthorized: false } }),
    ...(login && { auth: login }),
  }
}

/** What nodemailer throws. */
interface SmtpError extends Error {
  /** The command that failed, or `API` when it was not sent. */
  command?: string
  /** The status of the server's answer. */
  responseCode?: number
  response?: string
}

/**
 * A permanent error (5xx) about the recipient or about the mail is for good. Any other may end without a change of the mail: a
 * wrong password or a sender that is not allowed is corrected by an operator, and mails that wait for it must not be lost.
 */
function toMailError(cause: SmtpError): Error {
  const { command = '', responseCode, response = cause.message } = cause
  const isOfMail = ['RCPT TO', 'DATA'].includes(command) && responseCode !== undefined && responseCode >= 500
  if (isOfMail) return Object.assign(new MailRefused(response), { cause })
  return new MailUnavailable({ cause })
}
