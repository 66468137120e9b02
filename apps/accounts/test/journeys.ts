import type { CaughtMail } from '@repo/testing/start-mail-catcher'
import {
  field,
  PASSWORD,
  signIn,
  signUp,
  someone,
  submit,
  untilSignedIn,
  type Journeys,
} from '../../../infra/browser/visit.ts'

const NEXT_PASSWORD = 'a better horse battery'

/** From the sign-up to the end of an account. Requests alternate between processes; one of them dies in the middle. */
export const journeys: Journeys = {
  async 'somebody confirms the email, forgets the password, and gets back in by mail, while a process dies'({
    page,
    url,
    mails,
    processes,
    restart,
    otherDevice,
    picture,
  }) {
    const email = await signUp(page, url)
    await page.getByRole('link', { name: 'Account' }).click()
    await page.getByText('not confirmed yet').waitFor()
    await page.goto(linkIn(await mails.waitForMail(email)))
    await picture('10 confirming the email')
    await submit(page, 'Confirm')
    await page.getByText('This email belongs to your account.').waitFor()
    await submit(page, 'Go on')
    await page.getByRole('link', { name: 'Account' }).click()
    await page.getByText('confirmed', { exact: true }).waitFor()

    const other = await otherDevice()
    await other.goto(url)
    await other.getByRole('link', { name: 'I have forgotten my password' }).click()
    await field(other, 'Email').fill(email)
    const killed = ['accounts.1', 'accounts-worker.1']
    for (const { name, kill } of processes) if (killed.includes(name)) kill('SIGKILL')
    await submit(other, 'Send the link')
    await other.getByText('Look into your mailbox.').waitFor()

    const link = linkIn(await mails.waitForMail(email, 2))
    await other.goto(link)
    await other.getByRole('heading', { name: 'A new password' }).waitFor()
    await other.goto('about:blank')
    await other.goto(link)
    await field(other, 'Your next password').fill(NEXT_PASSWORD)
    await submit(other, 'Change password')
    await other.getByText('Sign in with your new password.').waitFor()
    await submit(other, 'Sign in')
    await signIn(other, url, email, NEXT_PASSWORD)
    await page.reload()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.goto(linkIn(await mails.waitForMail(email, 3)))
    await page.getByRole('button', { name: 'Send the link' }).waitFor()
    await other.context().close()
    await Promise.all(killed.map(restart))
  },

  async 'somebody changes the email, and closes the account'({ page, url, mails, picture }) {
    const email = await signUp(page, url)
    const next = someone()
    await page.getByRole('link', { name: 'Account' }).click()
    await field(page, 'Your email').fill(next)
    await field(page, 'Your password').first().fill(PASSWORD)
    await submit(page, 'Send a link to this email')
    await page.getByText('Look into that mailbox').waitFor()
    await picture('11 the account')
    await page.goto(linkIn(await mails.waitForMail(next)))
    await submit(page, 'Confirm')
    await submit(page, 'Go on')
    await untilSignedIn(page)
    await page.locator('header .who').filter({ hasText: next }).waitFor()
    await mails.waitForMail(email, 2)

    await page.getByRole('link', { name: 'Account' }).click()
    await field(page, 'Your password').last().fill(PASSWORD)
    await submit(page, 'Close my account for good')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await mails.waitForMail(next, 2)
    await page.getByLabel('Email').fill(next)
    await page.getByLabel('Password').fill(PASSWORD)
    await submit(page, 'Sign in')
    await page.getByText('Email or password is wrong.').waitFor()
  },
}

function linkIn({ links: [link] }: CaughtMail): string {
  return link!
}
