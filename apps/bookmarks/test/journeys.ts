import { deepEqual, equal, ok } from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { pollUntil } from '@repo/testing/poll-until'
import {
  field,
  fitsTelephone,
  signUp,
  submit,
  type Journeys,
  type Visit,
} from '../../../infra/browser/visit.ts'

const LINKS = 75

export const journeys: Journeys = {
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

  async 'searches of two tabs at once are offered again in both'({ page, url }) {
    await signUp(page, url)
    await add(page, 'https://fastify.dev/', 'Fastify', '')
    const otherTab = await page.context().newPage()
    await otherTab.goto(url)
    const searches = [
      { tab: page, q: 'fast' },
      { tab: otherTab, q: 'slow' },
    ]
    await Promise.all(
      searches.map(async ({ tab, q }) => {
        await tab.getByRole('searchbox').fill(q)
        await tab.getByRole('searchbox').press('Enter')
        await recent(tab, q).waitFor()
      }),
    )
    for (const { tab } of searches) {
      await tab.reload()
      await tab.getByRole('searchbox').focus()
      for (const { q } of searches) await recent(tab, q).waitFor()
    }
    await recent(page, 'slow').click()
    await page.getByText('Nothing matches.').waitFor()
    await recent(page, 'fast').click()
    await page.getByText('1 in all').waitFor()
    equal(await page.getByRole('searchbox').inputValue(), 'fast')
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

  async 'bookmarks are added from the keyboard'({ page, url }) {
    const type = (text: string): Promise<void> => page.keyboard.type(text)
    await signUp(page, url)
    // After sign-in the focus is on the heading. The first field comes next.
    await page.getByRole('heading', { name: 'Bookmarks' }).waitFor()
    await page.keyboard.press('Tab')
    await type('https://example.com/typed')
    await page.keyboard.press('Enter')
    await page.getByText('1 in all').waitFor()
    // The form is empty and ready for the next one.
    await type('https://example.com/typed-too')
    await page.keyboard.press('Enter')
    await page.getByText('2 in all').waitFor()
  },

  async 'the list fits into the dark and a telephone'({ page, url, picture }) {
    await page.emulateMedia({ colorScheme: 'dark' })
    await signUp(page, url)
    await add(page, 'https://12factor.net/processes', 'VI. Processes', 'twelve-factor, reading')
    await add(page, `https://example.com/${'a-long-address-'.repeat(12)}`, '', '')
    await page.getByText('2 in all').waitFor()
    await picture('12 dark list')
    await page.setViewportSize({ width: 360, height: 740 })
    await page.getByRole('searchbox').fill('a-long-address-'.repeat(12))
    await page.getByRole('searchbox').press('Enter')
    await recent(page, 'a-long-address').waitFor()
    await page.getByText('1 in all').waitFor()
    await picture('13 list on a telephone')
    await fitsTelephone(page)
  },

  async 'a bookmark is added after one of its processes was killed'({ page, url, processes }) {
    await signUp(page, url)
    const seen = page.locator('[data-process^="bookmarks."]')
    await pollUntil('both have been seen', async () => {
      await page.getByRole('link', { name: 'Account' }).click()
      await page.getByRole('link', { name: 'Bookmarks' }).click()
      await page.getByText('Nothing here yet').waitFor()
      return (await seen.count()) === 2
    })
    processes.find(({ name }) => name === 'bookmarks.1')!.kill('SIGKILL')
    await page.reload()
    await add(page, 'https://example.com/after', 'After the kill', '')
    await page.getByText('1 in all').waitFor()
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

async function add(page: Visit['page'], address: string, title: string, tags: string): Promise<void> {
  await field(page, 'Address').fill(address)
  await field(page, 'Title').fill(title)
  await field(page, 'Tags').fill(tags)
  await submit(page, 'Add')
  await page.getByRole('link', { name: title || address }).waitFor()
}

function recent(page: Visit['page'], q: string): ReturnType<Visit['page']['getByRole']> {
  return page.getByRole('group', { name: 'Recent searches' }).getByRole('button', { name: q })
}

async function titles(page: Visit['page']): Promise<string[]> {
  return page.getByRole('list', { name: 'Bookmarks' }).getByRole('link').allInnerTexts()
}
