import { call, formOf, h } from '@repo/page'
import { bookmarkItem, splitTags, type Bookmark } from './item.ts'

const PAGE_SIZE = 30
const TYPING_PAUSE_MS = 200

/** The list of bookmarks: add, search, search again, filter by tag, and load more. */
export function bookmarksView(): HTMLElement {
  const search = h('input', { type: 'search', placeholder: 'Search', 'aria-label': 'Search bookmarks' })
  const chosenTag = h('button', { type: 'button', className: 'tag chosen', hidden: true })
  const recent = h('div', { className: 'tags recent', role: 'group', 'aria-label': 'Recent searches' })
  const list = h('ul', { className: 'bookmarks', 'aria-label': 'Bookmarks' })
  const status = h('p', { className: 'quiet', role: 'status' })
  const more = h('button', { type: 'button', hidden: true, onclick: () => load(cursor) }, 'More')
  let tag = ''
  let cursor: string | null = null
  let loading = new AbortController()
  let typing: ReturnType<typeof setTimeout>

  search.addEventListener('input', () => {
    clearTimeout(typing)
    typing = setTimeout(() => load(null), TYPING_PAUSE_MS)
  })
  // A search is remembered when the person is done with its text, and not for each pause in typing.
  search.addEventListener('change', () => {
    if (search.value.trim()) void showRecent('POST', { q: search.value.trim() })
  })
  search.addEventListener('focus', () => showRecent('GET'))
  chosenTag.addEventListener('click', () => choose(''))

  /** The searches of this browser, those of its other tabs too. */
  async function showRecent(method: 'GET' | 'POST', body?: { q: string }): Promise<void> {
    try {
      const { searches } = await call<{ searches: string[] }>(method, '/api/bookmarks/searches', body)
      recent.replaceChildren(
        ...searches.map((q) =>
          h('button', { type: 'button', className: 'tag', onclick: () => searchAgain(q) }, q),
        ),
      )
    } catch (error) {
      status.textContent = (error as Error).message
    }
  }

  function searchAgain(q: string): void {
    search.value = q
    void load(null)
    void showRecent('POST', { q })
  }

  function choose(next: string): void {
    tag = next
    chosenTag.textContent = `${next} ×`
    chosenTag.ariaLabel = `Stop showing only ${next}`
    chosenTag.hidden = next === ''
    void load(null)
  }

  /** Shows the page that begins at `from`. The first page replaces the list, later pages are appended. */
  async function load(from: string | null): Promise<void> {
    loading.abort()
    loading = new AbortController()
    const { signal } = loading
    const query = new URLSearchParams({ limit: `${PAGE_SIZE}` })
    if (from) query.set('cursor', from)
    if (search.value.trim()) query.set('q', search.value.trim())
    if (tag) query.set('tag', tag)

    list.ariaBusy = 'true'
    try {
      const page = await call<{ bookmarks: Bookmark[]; nextCursor: string | null }>(
        'GET',
        `/api/bookmarks?${query}`,
        undefined,
        signal,
      )
      const items = page.bookmarks.map((bookmark) =>
        bookmarkItem(bookmark, { onTag: choose, onRemoved: count }),
      )
      if (from) list.append(...items)
      else list.replaceChildren(...items)
      cursor = page.nextCursor
      more.hidden = !cursor
      count()
      if (from) items[0]?.querySelector('a')?.focus()
    } catch (error) {
      if (!signal.aborted) status.textContent = (error as Error).message
    } finally {
      if (!signal.aborted) list.ariaBusy = 'false'
    }
  }

  function count(): void {
    const shown = list.children.length
    const isNarrowed = search.value.trim() !== '' || tag !== ''
    if (shown > 0) status.textContent = cursor ? `The newest ${shown}` : `${shown} in all`
    else
      status.textContent = isNarrowed
        ? 'Nothing matches.'
        : 'Nothing here yet. Add a bookmark, or import yours.'
  }

  const add = formOf({
    className: 'inline',
    fields: {
      url: { label: 'Address', type: 'url', required: true, autocomplete: 'off' },
      title: { label: 'Title', autocomplete: 'off' },
      tags: { label: 'Tags', hint: 'separated by commas', autocomplete: 'off' },
    },
    submit: 'Add',
    async onSubmit({ url, title, tags }, form) {
      await call('POST', '/api/bookmarks', {
        url,
        ...(title.trim() && { title: title.trim() }),
        tags: splitTags(tags),
      })
      form.reset()
      form.querySelector('input')?.focus()
      await load(null)
    },
  })

  void load(null)
  return h(
    'section',
    {},
    h('h1', { tabIndex: -1 }, 'Bookmarks'),
    h('div', { className: 'card' }, add),
    h('div', { className: 'toolbar' }, search, chosenTag, status),
    recent,
    list,
    more,
  )
}
