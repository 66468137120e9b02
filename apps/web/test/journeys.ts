import { match } from 'node:assert/strict'
import { pollUntil } from '@repo/testing/poll-until'
import {
  described,
  fitsTelephone,
  untilSignedIn,
  PASSWORD,
  signIn,
  signUp,
  someone,
  submit,
  type Journeys,
} from '../../../infra/browser/visit.ts'

/** What users do with the page. Each journey has a new user. Apps test their own parts of the page. */
export const journeys: Journeys = {
  async 'somebody signs up, is told what is wrong beside the field, and is in'({ page, url, picture }) {
    await page.goto(url)
    await picture('01 the door')
    await page.getByRole('button', { name: /I am new here/ }).click()
    await page.getByLabel('Email').fill('somebody')
    await submit(page, 'Sign up')
    await described(page, 'Email', /@/)
    await page.getByLabel('Email').fill(someone())
    await page.getByLabel('Password').fill('short')
    await submit(page, 'Sign up')
    await described(page, 'Password', /8 characters/)
    await picture('02 a field error')
    await page.getByLabel('Password').fill(PASSWORD)
    await submit(page, 'Sign up')
    await untilSignedIn(page)
    await page.reload()
    await untilSignedIn(page)
  },

  async 'somebody sees their devices, ends one, and changes the password'({
    page,
    url,
    otherDevice,
    picture,
  }) {
    const email = await signUp(page, url)
    const other = await otherDevice()
    await signIn(other, url, email, PASSWORD)
    const third = await otherDevice()
    await signIn(third, url, email, PASSWORD)

    await page.getByRole('link', { name: 'Account' }).click()
    const devices = page.getByRole('list', { name: 'Devices' }).getByRole('listitem')
    await pollUntil('three devices are shown', async () => (await devices.count()) === 3)
    await page.getByText('this device').waitFor()
    await picture('07 devices')
    await page
      .getByRole('button', { name: /^Sign out Chrom/ })
      .first()
      .click()
    await pollUntil('two devices are left', async () => (await devices.count()) === 2)

    await page.getByLabel('Your password now').fill('not my password')
    await page.getByLabel('Your next password').fill('a better password')
    await submit(page, 'Change password')
    await page.locator('.message.error').filter({ hasText: /./ }).waitFor()
    await page.getByLabel('Your password now').fill(PASSWORD)
    await page.getByLabel('Your next password').fill('Password1')
    await submit(page, 'Change password')
    await page.getByText('tried first').waitFor()
    await page.getByLabel('Your next password').fill('a better password')
    await submit(page, 'Change password')
    await page.getByText('Changed. Every other device is signed out.').waitFor()

    for (const device of [other, third]) {
      await device.getByRole('link', { name: 'Account' }).click()
      await device.getByText('You have been signed out.').waitFor()
      await device.context().close()
    }
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByText('You are signed out.').waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await submit(page, 'Sign in')
    await page.locator('.message.error').filter({ hasText: /./ }).waitFor()
    await page.getByLabel('Password').fill('a better password')
    await submit(page, 'Sign in')
    await untilSignedIn(page)
  },

  async 'somebody signs up with the keyboard alone'({ page, url }) {
    await page.goto(url)
    await page.getByLabel('Email').waitFor()
    const type = (text: string): Promise<void> => page.keyboard.type(text)
    const press = (key: string): Promise<void> => page.keyboard.press(key)
    // Email, password, the submit button, and the button for sign-up. Then the same two fields.
    for (const key of ['Tab', 'Tab', 'Tab', 'Enter']) await press(key)
    await page.getByRole('heading', { name: 'Sign up' }).waitFor()
    await type(someone())
    await press('Tab')
    await type(PASSWORD)
    await press('Enter')
    await untilSignedIn(page)
  },

  async 'it is beautiful in the dark and on a telephone'({ page, url, picture }) {
    await page.emulateMedia({ colorScheme: 'dark' })
    await signUp(page, url)
    await page.getByRole('link', { name: 'Account' }).click()
    await page.getByText('this device').waitFor()
    await picture('09 dark')
    await page.setViewportSize({ width: 360, height: 740 })
    await picture('10 telephone')
    await fitsTelephone(page)
  },

  async 'the page counts which processes answered, and goes on when one of them is killed'(visit) {
    const { page, url, processes, picture } = visit
    await signUp(page, url)
    await page.getByRole('link', { name: 'Account' }).click()
    const seen = page.locator('[data-process^="accounts."]')
    await pollUntil('both have been seen', async () => {
      await page.reload()
      await page.getByText('this device').waitFor()
      return (await seen.count()) === 2
    })
    match(await seen.first().innerText(), /^accounts\.1 ×\d+$/)
    await picture('08 processes')

    processes.find(({ name }) => name === 'accounts.1')!.kill('SIGKILL')
    await page.reload()
    await page.getByText('this device').waitFor()
  },
}
