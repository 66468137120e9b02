import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { freePort, isFree } from '@repo/testing/ports'
import { startMailCatcher, type CaughtMail, type MailCatcher } from '@repo/testing/start-mail-catcher'

/** The mail server of `pnpm dev`: a catcher, which delivers nothing, and a page with its mails. */
export async function openMailServer(): Promise<AsyncDisposable & { env: MailCatcher['env']; url: string }> {
  await using opening = new AsyncDisposableStack()
  const catcher = opening.use(await startMailCatcher())
  // The port of Mailpit, so that a browser tab finds the page again.
  const { url } = opening.use(await serveMails(catcher, (await isFree(8025)) ? 8025 : await freePort()))
  const opened = opening.move()
  return { env: catcher.env, url, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** A page with the mails of a catcher, for a browser on this machine. */
export interface MailPage extends AsyncDisposable {
  readonly url: string
}

// Nothing is loaded from anywhere, also not by a mail: its frame inherits this.
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
}

/** Serves the mails on this port of loopback: `/` is the list, the newest first, and `/1` is the first mail. */
export async function serveMails(catcher: MailCatcher, port: number): Promise<MailPage> {
  const server = createServer((request, response) => answer(catcher, request, response))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function answer(catcher: MailCatcher, { url, headers }: IncomingMessage, response: ServerResponse): void {
  // Another site may have its name lead to loopback, to read the mails (DNS rebinding).
  const isLocal = /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(headers.host ?? '')
  const mail = catcher.mails().find(({ id }) => url === `/${id}`)
  const body = url === '/' ? renderList(catcher.mails()) : mail && renderMail(mail)
  if (!isLocal || !body) return void response.writeHead(404, HEADERS).end(renderPage('No such mail', ''))
  response.writeHead(200, HEADERS).end(body)
}

function renderList(mails: readonly CaughtMail[]): string {
  const rows = mails.map(
    ({ id, receivedAt, to, subject }) =>
      `<tr><td>${escape(receivedAt.toLocaleTimeString())}</td><td>${escape(to.join(', '))}</td><td><a href="/${id}">${escape(subject)}</a></td></tr>`,
  )
  const table = `<table>${rows.join('\n')}</table>`
  return renderPage(
    'Mails',
    mails.length > 0 ? table : '<p>None yet.</p>',
    '<meta http-equiv="refresh" content="3">',
  )
}

function renderMail({ receivedAt, from, to, subject, text, html }: CaughtMail): string {
  // A link opens in a tab of its own, free of the sandbox. Scripts of the mail do not run.
  const framed = escape(`<base target="_blank">${html}`)
  return renderPage(
    subject,
    `<p><a href="/">All mails</a></p>
<p>From ${escape(from)} to ${escape(to.join(', '))} at ${escape(receivedAt.toLocaleTimeString())}</p>
<h2>HTML</h2>
<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="${framed}"></iframe>
<h2>Text</h2>
<pre>${linked(text)}</pre>`,
  )
}

function renderPage(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escape(title)}</title>
${head}
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
td { padding: 0.2rem 1rem 0.2rem 0; vertical-align: top }
iframe { width: 100%; height: 20rem; border: 1px solid gray; background: white }
pre { white-space: pre-wrap; border: 1px solid gray; padding: 1rem }
</style>
</head>
<body>
<h1>${escape(title)}</h1>
${body}
</body>
</html>
`
}

function linked(text: string): string {
  const parts = text.split(/(https?:\/\/\S+)/)
  return parts
    .map((part, i) =>
      i % 2 === 0 ? escape(part) : `<a href="${escape(part)}" target="_blank">${escape(part)}</a>`,
    )
    .join('')
}

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!)
}
