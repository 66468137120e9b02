import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium, type Page } from 'playwright-core'
import { CHROMIUM, findProgram } from '../../packages/testing/src/programs.ts'
import { partsOfApps } from '../parts-of-apps.ts'
import { startFormation } from './start-formation.ts'
import type { Journeys } from './visit.ts'

const help = `node infra/browser/main.ts [--pictures FOLDER] [--json]

Tests the page in a real Chromium, with the whole formation on its own servers and ports: runs the journeys in each app's
test/journeys.ts. Needs Chromium, and once \`pnpm install --ignore-workspace\` in this folder.

  --pictures FOLDER   keeps all screenshots there (default: only those of failed journeys, in .dev/browser)
  --json              ends with one line of JSON
`

const { values: options } = parseArgs({
  options: {
    pictures: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

const executablePath = findProgram(...CHROMIUM)
if (!executablePath)
  throw new Error('There is no Chromium on this machine: install the package chromium first')
const pictures = options.pictures ?? join(import.meta.dirname, '../../.dev/browser')
await mkdir(pictures, { recursive: true })

await using formation = await startFormation()
await using browser = await chromium.launch({
  executablePath,
  // Chromium's sandbox does not work for root.
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
})

const ofApps = await partsOfApps<{ journeys: Journeys }>('test/journeys.ts')
const results: Record<string, boolean> = {}
for (const [name, journey] of ofApps.flatMap(({ journeys }) => Object.entries(journeys))) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 760 }, locale: 'en-GB' })
  const page = await context.newPage()
  page.setDefaultTimeout(10_000)
  const complaints = listen(page)
  const picture = (title: string): Promise<Buffer> =>
    page.screenshot({ path: join(pictures, `${title}.png`) })
  try {
    await journey({
      page,
      url: formation.url,
      processes: formation.processes,
      restart: formation.restart,
      mails: formation.mails,
      otherDevice: async () => (await browser.newContext()).newPage(),
      picture: async (title) => void (options.pictures && (await picture(title))),
    })
    if (complaints.length > 0) throw new Error(`The browser complained: ${complaints.join('\n')}`)
    results[name] = true
  } catch (error) {
    results[name] = false
    await picture(`failed: ${name}`)
    console.error((error as Error).stack)
  }
  console.log(`${results[name] ? '✓' : '✗'} ${name}`)
  await context.close()
}

const passed = Object.values(results).filter(Boolean).length
const failed = Object.keys(results).length - passed
console.log(`${passed} passed, ${failed} failed`)
if (options.json) console.log(JSON.stringify(results))
process.exitCode = failed > 0 || passed === 0 ? 1 : 0

/** Collects what a user does not see: exceptions, and refusals by the content security policy. */
function listen(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // An error answer is part of the journey.
    const isAnswer = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isAnswer) complaints.push(message.text())
  })
  return complaints
}
