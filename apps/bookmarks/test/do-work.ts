import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from '@repo/testing/browser'
import { pollUntil } from '@repo/testing/poll-until'
import { FormData } from 'undici'
import { expect } from 'vitest'

const FILE = join(import.meta.dirname, 'exports/real/firefox_nested.htm')

/** Runs one import through all processes: the edge, the service, the worker and the database. */
export async function doWork(person: Browser): Promise<void> {
  const form = new FormData()
  form.set('file', new Blob([await readFile(FILE)]), 'bookmarks.html')
  const upload = await person.request('/api/bookmarks/imports', { method: 'POST', body: form })
  expect(upload.status).toBe(202)
  await pollUntil('the worker has stored the links', async () => {
    const list = (await (await person.request('/api/bookmarks')).json()) as { bookmarks: unknown[] }
    return list.bookmarks.length > 0
  })
}
