import { call, formOf, h } from '@repo/page'

/** How long to wait before a refused stream is tried again. */
const AGAIN_AFTER_MS = 1000

interface Import {
  id: string
  status: 'queued' | 'running' | 'done' | 'failed'
  imported: number
  skipped: number
  error: string | null
}

/** Import and export of bookmarks. The id of the present import is in the URL, so a reload continues to watch it. */
export function importsView(id: string | undefined): HTMLElement {
  const byFile = formOf({
    fields: {
      file: {
        label: 'A file that your browser exported',
        type: 'file',
        accept: '.html,.htm,text/html',
        required: true,
      },
    },
    submit: 'Import the file',
    onSubmit: (_values, form) => start(new FormData(form)),
  })
  const byUrl = formOf({
    fields: { url: { label: 'The address of such a file', type: 'url', required: true } },
    submit: 'Import from there',
    onSubmit: start,
  })

  return h(
    'section',
    {},
    h('h1', { tabIndex: -1 }, 'Import and export'),
    id ? progressOf(id) : null,
    h(
      'div',
      { className: 'columns' },
      h('div', { className: 'card' }, byFile),
      h('div', { className: 'card' }, byUrl),
    ),
    h(
      'p',
      {},
      h('a', { href: '/api/bookmarks/export', download: 'bookmarks.html' }, 'Export all bookmarks'),
      ' in the format that every browser reads.',
    ),
  )
}

async function start(body: unknown): Promise<void> {
  const { import: started } = await call<{ import: Import }>('POST', '/api/bookmarks/imports', body)
  location.hash = `#/imports/${started.id}`
}

function hasEnded({ status }: Import): boolean {
  return status === 'done' || status === 'failed'
}

function progressOf(id: string): HTMLElement {
  const bar = h('progress', { 'aria-label': 'Import' })
  const sentence = h('p', { role: 'status' })
  const view = h('div', { className: 'card' }, bar, sentence)
  watch()
  return view

  /** The browser connects again by itself, to any process, unless it was refused. */
  function watch(): void {
    const events = new EventSource(`/api/bookmarks/imports/${id}/events`)
    events.addEventListener('progress', ({ data }: MessageEvent<string>) => {
      const { import: seen } = JSON.parse(data) as { import: Import }
      show(seen)
      if (hasEnded(seen) || !view.isConnected) events.close()
    })
    events.addEventListener('error', () => {
      if (!view.isConnected) events.close()
      else if (events.readyState === EventSource.CLOSED) void ask()
    })
  }

  /** An event stream does not tell why it was refused, so this requests the import itself. */
  async function ask(): Promise<void> {
    try {
      const { import: seen } = await call<{ import: Import }>('GET', `/api/bookmarks/imports/${id}`)
      show(seen)
      if (hasEnded(seen)) return
    } catch (error) {
      sentence.textContent = (error as Error).message
      if ((error as { status?: number }).status === 404) return bar.remove()
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS))
    if (view.isConnected) watch()
  }

  /** The number of links is known only at the end, so until then the bar shows no percentage. */
  function show({ status, imported, skipped, error }: Import): void {
    const counts = `${imported.toLocaleString()} imported, ${skipped.toLocaleString()} skipped`
    if (status === 'done') {
      bar.value = 1
      sentence.replaceChildren(`Done: ${counts}. `, h('a', { href: '#/' }, 'See your bookmarks'))
    } else if (status === 'failed') {
      bar.remove()
      sentence.className = 'error'
      sentence.textContent = `The import failed: ${error ?? 'no reason was given'}`
    } else {
      sentence.textContent = status === 'queued' ? 'Waiting for a worker …' : `Importing: ${counts} so far …`
    }
  }
}
