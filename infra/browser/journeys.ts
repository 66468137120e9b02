import { ok, deepEqual, equal, match } from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { Locator, Page } from 'playwright-core'
import { pollUntil } from '../../packages/testing/src/poll-until.ts'
import type { NodeProcess } from '../../packages/testing/src/start-process.ts'

interface Visit {
  page: Page
  url: string
  processes: NodeProcess[]
  otherDevice(): Promise<Page>
  picture(title: string): Promise<void>
}

const PASSWORD = 'correct horse battery'
const LINKS = 75

/** What people do with the page, each as somebody new. */
export const journeys: Record<string, (visit: Visit) => Promise<void>> = {
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
    await page.getByText('Nothing here yet').waitFor()
    await page.reload()
    await page.getByText('Nothing here yet').waitFor()
  },

  async 'a bookmark is added, found, edited and removed'({ page, url, picture }) {
    await signUp(page, url)
    await add(page, 'https://12factor.net/processes', 'VI. Processes', 'twelve-factor, reading')
    await add(page, 'https://fastify.dev/', 'Fastify', 'node, reading')
    await add(page, `https://example.com/${'a-long-address-'.repeat(12)}`, '', '')
    await page.getByText('3 in all').waitFor()

    await field(page, 'Address').fill('https://fastify.dev/')
    await submit(page, 'Add')
    await page.getByText('You already have a bookmark of this address.').waitFor()
    await field(page, 'Address').fill('')
    await picture('03 bookmarks')

    await page.getByRole('searchbox').fill('processes')
    await page.getByText('1 in all').waitFor()
    deepEqual(await titles(page), ['VI. Processes'])
    await page.getByRole('searchbox').fill('no such thing')
    await page.getByText('Nothing matches.').waitFor()
    await page.getByRole('searchbox').fill('')
    await page.getByRole('button', { name: 'reading' }).first().click()
    await page.getByText('2 in all').waitFor()
    await page.getByRole('button', { name: 'Stop showing only reading' }).click()
    await page.getByText('3 in all').waitFor()

    await page.getByRole('button', { name: 'Edit Fastify' }).click()
    const form = page.getByRole('listitem').locator('form')
    await form.getByLabel('Title').fill('Fastify, fast')
    await form.getByLabel('Notes').fill('<b>not bold</b>')
    await picture('04 editing')
    await form.getByRole('button', { name: 'Save' }).click()
    await page.getByText('<b>not bold</b>').waitFor()

    await page.getByRole('button', { name: 'Remove Fastify, fast' }).click()
    await page.getByRole('button', { name: 'Remove Fastify, fast for good' }).click()
    await page.getByText('2 in all').waitFor()
    await page.reload()
    await page.getByText('2 in all').waitFor()
    ok(!(await titles(page)).includes('Fastify, fast'))
  },

  async 'a file is imported while one watches, read page by page, and exported'({ page, url, picture }) {
    await signUp(page, url)
    await page.getByRole('link', { name: 'Import' }).click()
    const links = Array.from(
      { length: LINKS },
      (_, n) => `<DT><A HREF="https://example.com/${n}">Link ${n}</A>`,
    )
    const file = `<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n${links.join('\n')}\n<DT><A HREF="ftp://x/">x</A></DL>`
    await page.getByLabel('A file that your browser exported').setInputFiles({
      name: 'bookmarks.html',
      mimeType: 'text/html',
      buffer: Buffer.from(file),
    })
    await submit(page, 'Import the file')
    await page.getByText(`Done: ${LINKS} imported, 1 skipped`).waitFor()
    await picture('05 imported')
    await page.reload()
    await page.getByText(`Done: ${LINKS} imported, 1 skipped`).waitFor()

    await page.getByRole('link', { name: 'See your bookmarks' }).click()
    await page.getByText('The newest 30').waitFor()
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByText('The newest 60').waitFor()
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByText(`${LINKS} in all`).waitFor()
    equal(new Set(await titles(page)).size, LINKS)
    equal(await page.getByRole('button', { name: 'More' }).count(), 0)

    await page.getByRole('link', { name: 'Import' }).click()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Export all bookmarks' }).click(),
    ])
    equal(download.suggestedFilename(), 'bookmarks.html')
    const exported = await readFile(await download.path(), 'utf8')
    equal([...exported.matchAll(/<A HREF="https:\/\/example\.com\/\d+"/g)].length, LINKS)

    await page.getByLabel('The address of such a file').fill('http://127.0.0.1/bookmarks.html')
    await submit(page, 'Import from there')
    await page.getByText(/The import failed: ./).waitFor()
    await picture('06 a failed import')
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
    await page.getByRole('heading', { name: 'Bookmarks' }).waitFor()
  },

  async 'everything can be done from the keyboard'({ page, url }) {
    await page.goto(url)
    await page.getByLabel('Email').waitFor()
    const type = (text: string): Promise<void> => page.keyboard.type(text)
    const press = (key: string): Promise<void> => page.keyboard.press(key)
    // Email, password, the button, and the way to sign up. Then the same two fields.
    for (const key of ['Tab', 'Tab', 'Tab', 'Enter']) await press(key)
    await page.getByRole('heading', { name: 'Sign up' }).waitFor()
    await type(someone())
    await press('Tab')
    await type(PASSWORD)
    await press('Enter')
    await page.getByRole('heading', { name: 'Bookmarks' }).waitFor()
    await press('Tab')
    await type('https://example.com/typed')
    await press('Enter')
    await page.getByText('1 in all').waitFor()
    // The form is empty and ready for the next one.
    await type('https://example.com/typed-too')
    await press('Enter')
    await page.getByText('2 in all').waitFor()
  },

  async 'the page counts which processes answered, and goes on when one of each is killed'(visit) {
    const { page, url, processes, picture } = visit
    await signUp(page, url)
    const names = ['accounts.1', 'accounts.2', 'bookmarks.1', 'bookmarks.2']
    for (let n = 0; n < 4; n++) await page.reload()
    await page.getByRole('heading', { name: 'Bookmarks' }).waitFor()
    await page.getByRole('link', { name: 'Account' }).click()
    await page.getByRole('link', { name: 'Bookmarks' }).click()
    await page.getByText('Nothing here yet').waitFor()
    const seen = page.locator('[data-process]')
    await pollUntil('all four have been seen', async () => {
      await page.getByRole('link', { name: 'Account' }).click()
      await page.getByText('this device').waitFor()
      await page.getByRole('link', { name: 'Bookmarks' }).click()
      await page.getByText('Nothing here yet').waitFor()
      return (await seen.count()) === names.length
    })
    deepEqual(
      await seen.evaluateAll((items) => items.map((item) => item.getAttribute('data-process'))),
      names,
    )
    match(await seen.first().innerText(), /^accounts\.1 ×\d+$/)
    await picture('08 processes')

    for (const { name, kill } of processes) if (name.endsWith('s.1')) kill('SIGKILL')
    await page.reload()
    await add(page, 'https://example.com/after', 'After the kill', '')
    await page.getByText('1 in all').waitFor()
  },

  async 'it is beautiful in the dark and on a telephone'({ page, url, picture }) {
    await page.emulateMedia({ colorScheme: 'dark' })
    await signUp(page, url)
    await add(page, 'https://12factor.net/processes', 'VI. Processes', 'twelve-factor, reading')
    await add(page, `https://example.com/${'a-long-address-'.repeat(12)}`, '', '')
    await page.getByText('2 in all').waitFor()
    await picture('09 dark')
    await page.setViewportSize({ width: 360, height: 740 })
    await picture('10 telephone')
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    ok(width <= 360, `the page is ${width} pixels wide`)
  },

  async 'a service that is away is said in a sentence, and what was typed is kept'({
    page,
    url,
    processes,
    picture,
  }) {
    await signUp(page, url)
    const bookmarks = processes.filter(({ name, isRunning }) => /^bookmarks\.\d$/.test(name) && isRunning)
    for (const { kill } of bookmarks) kill('SIGSTOP')
    for (const { kill } of bookmarks) kill('SIGKILL')
    await Promise.all(bookmarks.map(({ exited }) => exited))
    await field(page, 'Address').fill('https://example.com/away')
    await submit(page, 'Add')
    await page.getByText('This service cannot be reached right now.').first().waitFor()
    equal(await field(page, 'Address').inputValue(), 'https://example.com/away')
    await picture('11 away')
  },
}

function someone(): string {
  return `somebody-${crypto.randomUUID()}@example.com`
}

async function submit(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click()
}

/** The labels of buttons have the addresses of bookmarks in them. */
function field(page: Page, label: string): Locator {
  return page.getByLabel(label, { exact: true })
}

/** The field is marked, and what describes it says why. */
async function described(page: Page, label: string, what: RegExp): Promise<void> {
  const field = page.getByLabel(label)
  await pollUntil(
    `${label} is marked as wrong`,
    async () => (await field.getAttribute('aria-invalid')) === 'true',
  )
  const note = page.locator(`#${await field.getAttribute('aria-describedby')}`)
  match(await note.innerText(), what)
}

async function signUp(page: Page, url: string): Promise<string> {
  const email = someone()
  await page.goto(url)
  await page.getByRole('button', { name: /I am new here/ }).click()
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(PASSWORD)
  await submit(page, 'Sign up')
  await page.getByRole('heading', { name: 'Bookmarks' }).waitFor()
  return email
}

async function signIn(page: Page, url: string, email: string, password: string): Promise<void> {
  await page.goto(url)
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await submit(page, 'Sign in')
  await page.getByRole('heading', { name: 'Bookmarks' }).waitFor()
}

async function add(page: Page, address: string, title: string, tags: string): Promise<void> {
  await field(page, 'Address').fill(address)
  await field(page, 'Title').fill(title)
  await field(page, 'Tags').fill(tags)
  await submit(page, 'Add')
  await page.getByRole('link', { name: title || address }).waitFor()
}

async function titles(page: Page): Promise<string[]> {
  return page.getByRole('list', { name: 'Bookmarks' }).getByRole('link').allInnerTexts()
}
