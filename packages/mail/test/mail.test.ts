import { startMailCatcher } from '@repo/testing/start-mail-catcher'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defineMail, openMailer } from '../src/index.ts'

const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())
let catcher: Awaited<ReturnType<typeof startMailCatcher>>
beforeAll(async () => {
  catcher = resources.use(await startMailCatcher())
})

const FROM = 'Größe, Inc. <orders@example.com>'

const receipt = defineMail<{ name: string; order: string }>(({ name, order }) => ({
  subject: `Order ${order} – thank you`,
  body: [
    `Dear ${name},`,
    'your order is on its way.\nIt will arrive soon.',
    { link: 'Where is it?', href: `https://shop.example/orders?id=${order}&now=1` },
  ],
}))

test('a mail arrives as it was written, as text and as HTML, from the sender and marked as automatic', async () => {
  await using mailer = openMailer(catcher.env.MAIL_URL, { from: FROM })
  await mailer.check()
  await mailer.send(receipt('ada@example.com', { name: 'Ada <b>&"', order: '4711' }), 'orders.receipt 4711')
  const mail = await catcher.waitForMail('ada@example.com')
  expect(mail).toMatchObject({
    from: 'orders@example.com',
    to: ['ada@example.com'],
    subject: 'Order 4711 – thank you',
    links: ['https://shop.example/orders?id=4711&now=1'],
    headers: { 'auto-submitted': 'auto-generated', to: 'ada@example.com' },
  })
  expect(mail.text).toBe(
    'Dear Ada <b>&",\n\nyour order is on its way.\nIt will arrive soon.\n\nWhere is it?:\nhttps://shop.example/orders?id=4711&now=1\n',
  )
  expect(mail.html).toContain('<p>Dear Ada &lt;b&gt;&amp;&quot;,</p>')
  expect(mail.html).toContain('<a href="https://shop.example/orders?id=4711&amp;now=1">Where is it?</a>')
  expect(mail.html).not.toMatch(/<img|src=|https?:(?!\/\/shop\.example)/)
  expect(mail.headers).not.toHaveProperty('x-mailer')
})

/** Sends a mail for this cause with a mailer of its own, and returns the Message-ID of the nth mail. */
async function idOf(cause: string, nth: number): Promise<string> {
  await using mailer = openMailer(catcher.env.MAIL_URL, { from: FROM })
  await mailer.send(receipt('grace@example.com', { name: 'Grace', order: '1' }), cause)
  return (await catcher.waitForMail('grace@example.com', nth)).headers['message-id']!
}

test('mails of one cause have one Message-ID, whoever sends them; those of two causes have two', async () => {
  const [first, again, other] = [await idOf('one', 1), await idOf('one', 2), await idOf('two', 3)]
  // The form that RFC 5322 gives it: only atoms, and no trace of the cause.
  expect(first).toMatch(/^<[\w-]{43}@example\.com>$/)
  expect(again).toBe(first)
  expect(other).not.toBe(first)
})
