import { match, ok } from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { pollUntil } from '../../packages/testing/src/poll-until.ts'
import type { MailCatcher } from '../../packages/testing/src/start-mail-catcher.ts'
import type { NodeProcess } from '../../packages/testing/src/start-process.ts'

/** What a journey gets: a new browser context, and a formation that other journeys have already used. */
export interface Visit {
  page: Page
  url: string
  processes: NodeProcess[]
  /** Starts a process anew in the place of one that the journey killed. */
  restart(name: string): Promise<void>
  mails: MailCatcher
  otherDevice(): Promise<Page>
  picture(title: string): Promise<void>
}

/** The key is the sentence that the journey proves. */
export type Journeys = Record<string, (visit: Visit) => Promise<void>>

export const PASSWORD = 'correct horse battery'

export function someone(): string {
  return `somebody-${crypto.randomUUID()}@example.com`
}

export async function signUp(page: Page, url: string): Promise<string> {
  const email = someone()
  await page.goto(url)
  await page.getByRole('button', { name: /I am new here/ }).click()
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(PASSWORD)
  await submit(page, 'Sign up')
  await untilSignedIn(page)
  return email
}

export async function signIn(page: Page, url: string, email: string, password: string): Promise<void> {
  await page.goto(url)
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await submit(page, 'Sign in')
  await untilSignedIn(page)
}

export async function untilSignedIn(page: Page): Promise<void> {
  await page.getByRole('navigation', { name: 'Places' }).waitFor()
}

export async function submit(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click()
}

/** Exact, because the label of a button may contain the label of a field. */
export function field(page: Page, label: string): Locator {
  return page.getByLabel(label, { exact: true })
}

/** Asserts that the field is marked as wrong, and that its description says why. */
export async function described(page: Page, label: string, what: RegExp): Promise<void> {
  const field = page.getByLabel(label)
  await pollUntil(
    `${label} is marked as wrong`,
    async () => (await field.getAttribute('aria-invalid')) === 'true',
  )
  const note = page.locator(`#${await field.getAttribute('aria-describedby')}`)
  match(await note.innerText(), what)
}

/** Asserts that the page needs no sideways scrolling on a telephone. */
export async function fitsTelephone(page: Page): Promise<void> {
  const width = await page.evaluate(() => document.documentElement.scrollWidth)
  ok(width <= 360, `the page is ${width} pixels wide`)
}
