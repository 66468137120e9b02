import { createTransport } from 'nodemailer'
import { expect, test } from 'vitest'
import { startMailCatcher } from '../src/start-mail-catcher.ts'

test('a mail is caught with its parts, decoded, and can be waited for', async () => {
  await using catcher = await startMailCatcher()
  const transport = createTransport(catcher.env.MAIL_URL)
  const arrived = catcher.waitForMail('ada@example.com')
  await transport.sendMail({
    from: catcher.env.MAIL_FROM,
    to: 'ada@example.com, Eve <eve@example.com>',
    subject: 'Grüße',
    text: 'Begin: https://example.com/begin?a=1&b=ü',
    html: '<p>Begin &amp; enjoy</p>',
    messageId: '<1@example.com>',
  })
  expect(await arrived).toMatchObject({
    id: 1,
    from: 'mail@localhost',
    to: ['ada@example.com', 'eve@example.com'],
    subject: 'Grüße',
    html: expect.stringContaining('<p>Begin &amp; enjoy</p>'),
    links: ['https://example.com/begin?a=1&b=ü'],
    headers: { 'message-id': '<1@example.com>' },
  })
  expect(catcher.mails('eve@example.com')).toHaveLength(1)
  expect(catcher.mails('nobody@example.com')).toEqual([])
})

test('the newest hundred are kept, and one that is too large is refused', async () => {
  await using catcher = await startMailCatcher()
  const transport = createTransport(catcher.env.MAIL_URL)
  const mail = { from: 'mail@localhost', to: 'ada@example.com', text: 'Hello.' }
  for (let i = 1; i <= 102; i++) await transport.sendMail({ ...mail, subject: `${i}` })
  const subjects = catcher.mails().map(({ subject }) => subject)
  expect(subjects).toHaveLength(100)
  expect([subjects[0], subjects.at(-1)]).toEqual(['102', '3'])
  const large = transport.sendMail({ ...mail, text: 'x'.repeat(1_000_001) })
  await expect(large).rejects.toMatchObject({ responseCode: 552 })
})
