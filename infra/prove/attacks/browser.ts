import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { CHROMIUM, findProgram } from '@repo/testing/programs'
import { pollUntil } from '@repo/testing/poll-until'
import { Agent } from 'undici'
import { frontDoor } from '../../formation.ts'
import { installApart } from '../../install/install-apart.ts'
import { atLeast, none, told, type Arena, type Attack } from '../attack.ts'
import { NOTICE_MS } from '../deployment/open-deployment.ts'
import type { Replica } from '../deployment/replica.ts'
import { passwordOf, signUp } from '../load/person.ts'

/** Playwright is installed here, outside the workspace, which does not need it. */
const DRIVER = join(import.meta.dirname, '../../browser')
const PLAYWRIGHT = join(DRIVER, 'node_modules/playwright-core/index.mjs')

/** A page that has sent no request for this long is idle. */
const QUIET_MS = 200

/** The part of Playwright that is used here. @see https://playwright.dev/docs/api/class-page */
interface Playwright {
  chromium: { launch(options: { executablePath: string; args: string[] }): Promise<Browser> }
}
interface Browser extends AsyncDisposable {
  newPage(): Promise<Page>
}
interface Page {
  goto(url: string): Promise<unknown>
  reload(): Promise<unknown>
  on(event: 'response', listener: (response: Response) => void): void
  on(event: 'request' | 'requestfinished' | 'requestfailed', listener: (request: Request) => void): void
  setDefaultTimeout(ms: number): void
  context(): { cookies(): Promise<object[]> }
  getByLabel(text: string): Locator
  getByRole(role: string, options: { name: string; exact?: boolean }): Locator
  locator(selector: string): Locator
}
interface Locator {
  fill(text: string): Promise<void>
  count(): Promise<number>
  click(): Promise<void>
  waitFor(): Promise<void>
  allTextContents(): Promise<string[]>
}
interface Request {
  url(): string
}
interface Response {
  request(): Request
  status(): number
  headers(): Record<string, string>
}

/** A user signs in once and opens every page. In the middle another process of the edge takes over. */
export const browser: Attack = {
  name: 'browser',
  does: 'a user signs in with a real browser, and each request to a service goes to a different process than the one before',
  claim: 'every page shows the same user; the page shows at least 4 processes; no cookie changes',
  withoutEdge: 'any process may still answer; the ingress chooses which, and may choose the same one again',
  needs: ['haproxy', 'chromium'],
  async run({ deployment, note }) {
    installApart(DRIVER)
    const { url, formation } = deployment
    const agent = new Agent()
    const { email } = await signUp({ url, dispatcher: agent }, `visitor-${Date.now()}@prove.example`)
    await agent.destroy()

    // One edge only: each edge process has a rotation of its own.
    const [edge, nextEdge] = deployment.inhabited(frontDoor(formation)) as [Replica, Replica]
    await nextEdge.stop()

    const { chromium } = (await import(pathToFileURL(PLAYWRIGHT).href)) as Playwright
    const executablePath = findProgram(...CHROMIUM)!
    // Chromium's sandbox does not work for root.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
    await using chrome = await chromium.launch({ executablePath, args })
    const page = await chrome.newPage()
    page.setDefaultTimeout(10_000)
    const { asked, settle } = listenTo(page, note)

    note('sign in')
    await page.goto(url)
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(passwordOf(email))
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.locator('header .who').waitFor()
    await settle()
    const places = await page.locator('header nav a').allTextContents()
    const cookies = await page.context().cookies()
    // Requests before the sign-in are not counted: their 401 is correct.
    asked.length = 0

    const strangers: string[] = []
    async function lookWhoItIs(place: string): Promise<void> {
      const [who] = await page.locator('header .who').allTextContents()
      if (who !== email) strangers.push(place)
    }
    async function lookAround(then: () => Promise<unknown> = async () => {}): Promise<void> {
      for (const place of places) {
        const link = page.getByRole('link', { name: place, exact: true })
        if ((await link.count()) > 0) await link.click()
        await settle()
        await then()
        await settle()
        await lookWhoItIs(place)
      }
    }
    await lookWhoItIs('the first page')
    const reload = (): Promise<unknown> => page.reload()
    await lookAround(reload)
    await lookAround(reload)
    const ofFirstEdge = asked.splice(0)
    note(`${nextEdge.name} instead of ${edge.name}`)
    await nextEdge.start()
    await sleep(NOTICE_MS)
    await edge.stop()
    await lookAround(reload)
    await lookAround(reload)
    await lookAround()
    await lookAround()
    const shown = await page.locator('footer.processes [data-process]').allTextContents()
    const isChanged = !isDeepStrictEqual(await page.context().cookies(), cookies)
    await edge.start()

    const all = [...ofFirstEdge, ...asked]
    const repeats = [...findRepeats(ofFirstEdge), ...findRepeats(asked)]
    return [
      atLeast('requests to services', all.length, 20),
      told('processes that answered', new Set(all.map(({ process }) => process)).size),
      none('of them answered by the same process as the one before', repeats.length),
      none(
        'of them answered other than 2xx',
        all.filter(({ status = 200 }) => status < 200 || status > 299).length,
      ),
      atLeast('processes that the page shows', shown.length, 4),
      none('pages that showed another user or none', strangers.length),
      none('cookies changed', Number(isChanged)),
    ]
  },
}

/** A request to a service, and the process that answered it. */
interface Asked {
  /** Such as `/api/orders`. */
  service: string
  path: string
  /** Undefined when the page did not wait for the answer. */
  process?: string
  status?: number
}

/** Records the page's requests to services, in order. `settle` waits until the page is idle. */
function listenTo(page: Page, note: Arena['note']): { asked: Asked[]; settle(): Promise<void> } {
  const asked: Asked[] = []
  const open = new Map<Request, Asked>()
  let lastAt = performance.now()
  function end(request: Request): void {
    open.delete(request)
    lastAt = performance.now()
  }
  page.on('request', (request) => {
    const path = new URL(request.url()).pathname
    const [service] = /^\/api\/[^/]+/.exec(path) ?? []
    const question: Asked = { service: service ?? '/', path }
    open.set(request, question)
    if (service) asked.push(question)
  })
  page.on('response', (response) => {
    const { 'x-process': process } = response.headers()
    const question = open.get(response.request())
    if (!question || !process) return
    Object.assign(question, { process, status: response.status() })
    note(`${question.path}: ${response.status()} by ${process}`)
  })
  page.on('requestfinished', end)
  page.on('requestfailed', end)
  return {
    asked,
    settle: () =>
      pollUntil('the page asks no more', () => open.size === 0 && performance.now() - lastAt > QUIET_MS),
  }
}

/** Requests that were answered by the same process as the previous request to that service. */
function findRepeats(asked: readonly Asked[]): Asked[] {
  const ofServices = [...Map.groupBy(asked, ({ service }) => service).values()]
  return ofServices.flatMap((list) =>
    list.filter(({ process }, i) => process !== undefined && process === list[i - 1]?.process),
  )
}
