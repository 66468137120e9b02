import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { fetch, FormData } from 'undici'
import type { ProcessType } from '../../../../infra/formation.ts'
import type { Ground } from '../../../../infra/starter/verify/ground.ts'
import type { Unpacked } from '../../../../infra/starter/verify/open-images.ts'
import { withMain } from '../../../../infra/starter/verify/planted-images.ts'
import { planted, type Check } from '../../../../infra/starter/verify/run-checks.ts'

const LINKS = 4000
const RESTARTS = 4
const EVERY_MS = 1000

/** Besides requests, restarts could lose jobs. */
export function checks(ground: Ground): Check[] {
  return [
    {
      name: 'bookmarks-worker finishes each job once while its processes are restarted',
      run: () => restartWorkers(ground),
    },
    planted('a worker that leaves its work behind when it is to end', /a worker ended with 1/, async () => {
      const abrupt = withMain(`process.on('SIGTERM', () => process.exit(1))\nawait import('./worker.js')`)
      await restartWorkers(ground, await ground.plant(typeOf(ground, 'bookmarks-worker'), abrupt))
    }),
  ]
}

/** Imports arrive all the time, while the two containers that run them are restarted in turn. */
async function restartWorkers(ground: Ground, image?: Unpacked): Promise<string> {
  await using resources = new AsyncDisposableStack()
  const cookie = (await ground.person())?.cookie ?? ''
  const { url } = resources.use(await ground.start(typeOf(ground, 'bookmarks')))
  const workers = [await startWorker(), await startWorker()]
  const ids: string[] = []

  async function startWorker() {
    return resources.use(await ground.start(typeOf(ground, 'bookmarks-worker'), image))
  }
  async function startImport(): Promise<void> {
    const form = new FormData()
    form.set('file', new Blob([bookmarkFile(ids.length)]), 'bookmarks.html')
    const answer = await fetch(`${url}/api/bookmarks/imports`, {
      method: 'POST',
      headers: { cookie },
      body: form,
    })
    if (answer.status !== 202) throw new Error(`an import was answered ${answer.status}`)
    ids.push(((await answer.json()) as { import: { id: string } }).import.id)
  }

  let isOver = false
  async function keepImporting(): Promise<void> {
    // oxlint-disable-next-line no-unmodified-loop-condition -- it is changed below
    while (!isOver) {
      await startImport()
      await sleep(EVERY_MS)
    }
  }
  const imports = keepImporting()
  resources.defer(async () => {
    isOver = true
    await imports.catch(() => {})
  })
  for (let n = 0; n < RESTARTS; n++) {
    await sleep(2 * EVERY_MS)
    const { code } = await workers[n % 2]!.stop()
    if (code !== 0) throw new Error(`a worker ended with ${code}:\n${workers[n % 2]!.output()}`)
    workers[n % 2] = await startWorker()
  }
  isOver = true
  await imports
  for (const id of ids) await assertImported(url, id, cookie)
  return `${ids.length} imports of ${LINKS} links, ${RESTARTS} restarts`
}

function typeOf({ formation }: Ground, name: string): ProcessType {
  return formation.running.find((type) => type.name === name)!
}

/** Each file has links of its own, so a job that runs twice or not at all changes the total. */
function bookmarkFile(n: number): string {
  const links = Array.from(
    { length: LINKS },
    (_, i) => `<DT><A HREF="https://example.com/${n}/${i}">${i}</A>`,
  )
  return `<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n${links.join('\n')}\n</DL><p>`
}

async function assertImported(url: string, id: string, cookie: string): Promise<void> {
  let found: { status: string; imported: number } | undefined
  await pollUntil(
    `the import ${id} has come to its end`,
    async () => {
      const answer = await fetch(`${url}/api/bookmarks/imports/${id}`, { headers: { cookie } })
      found = ((await answer.json()) as { import: typeof found }).import
      return found?.status === 'done' || found?.status === 'failed'
    },
    { deadlineMs: 60_000 },
  )
  if (found?.status !== 'done' || found.imported !== LINKS) throw new Error(JSON.stringify(found))
}
