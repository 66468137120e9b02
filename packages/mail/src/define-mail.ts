import { MailInvalid } from './mail-error.ts'

/** A mail as it is sent: the same words as plain text and as HTML. */
export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** One paragraph: words, or a link with the words that describe it. */
export type Line = string | { readonly link: string; readonly href: string }

/**
 * Defines one mail of an app: what it says, once. Text and HTML are made of it; the HTML escapes everything and loads
 * nothing, so that nobody learns whether it was read.
 *
 * @param write returns the subject and the paragraphs. The address of a link is absolute, and http or https
 * @returns a function that writes this mail to somebody. It throws MAIL_INVALID when a link is not one
 */
export function defineMail<Data>(
  write: (data: Data) => { subject: string; body: readonly Line[] },
): (to: string, data: Data) => Mail {
  return (to, data) => {
    const { subject, body } = write(data)
    const lines = body.map((line) =>
      typeof line === 'string' ? line : { ...line, href: checkHref(line.href) },
    )
    return { to, subject, text: lines.map(toText).join('\n\n'), html: toHtml(subject, lines) }
  }
}

function checkHref(href: string): string {
  const url = URL.parse(href)
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new MailInvalid('links that start with http:// or https://')
  }
  return url.href
}

function toText(line: Line): string {
  return typeof line === 'string' ? line : `${line.link}:\n${line.href}`
}

function toHtml(subject: string, lines: readonly Line[]): string {
  const paragraphs = lines.map((line) => {
    if (typeof line === 'string') return `<p>${escape(line).replaceAll('\n', '<br>\n')}</p>`
    return `<p><a href="${escape(line.href)}">${escape(line.link)}</a></p>`
  })
  return `<!doctype html>
<html>
<head><meta charset="utf-8"><title>${escape(subject)}</title></head>
<body>
${paragraphs.join('\n')}
</body>
</html>
`
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
