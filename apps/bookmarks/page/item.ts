import { call, formOf, h } from '@repo/page'

export interface Bookmark {
  id: string
  url: string
  title: string
  notes: string
  tags: string[]
  /** Such as `Dev/PHP`. */
  folder: string
  createdAt: string
}

interface Actions {
  onTag(tag: string): void
  onRemoved(): void
}

/** One bookmark in the list, which can be edited in place. */
export function bookmarkItem(bookmark: Bookmark, actions: Actions): HTMLLIElement {
  const item = h('li')
  show(bookmark)
  return item

  function show(shown: Bookmark): void {
    const { url, title, notes, tags, folder, createdAt } = shown
    const day = new Date(createdAt).toLocaleDateString(undefined, { dateStyle: 'medium' })
    const name = title || url
    const editButton = h(
      'button',
      { type: 'button', className: 'link', 'aria-label': `Edit ${name}` },
      'Edit',
    )
    editButton.addEventListener('click', () => edit(shown))
    item.replaceChildren(
      h(
        'div',
        { className: 'title' },
        h('a', { href: safeHref(url), rel: 'noopener noreferrer', target: '_blank' }, name),
        h('div', { className: 'actions' }, editButton, removeButton(shown)),
      ),
      h('p', { className: 'quiet' }, [hostOf(url), folder, day].filter(Boolean).join(' · ')),
      ...(notes ? [h('p', { className: 'notes' }, notes)] : []),
      h(
        'div',
        { className: 'tags' },
        ...tags.map((tag) =>
          h('button', { type: 'button', className: 'tag', onclick: () => actions.onTag(tag) }, tag),
        ),
      ),
    )
  }

  function edit(shown: Bookmark): void {
    const form = formOf({
      fields: {
        title: { label: 'Title', value: shown.title },
        notes: { label: 'Notes', value: shown.notes },
        tags: { label: 'Tags', value: shown.tags.join(', '), hint: 'separated by commas' },
      },
      submit: 'Save',
      extra: [h('button', { type: 'button', onclick: () => back(shown) }, 'Cancel')],
      async onSubmit({ title, notes, tags }) {
        const change = { title: title.trim(), notes, tags: splitTags(tags) }
        back(await call<Bookmark>('PATCH', `/api/bookmarks/${shown.id}`, change))
      },
    })
    item.replaceChildren(form)
    form.querySelector('input')?.focus()
  }

  function back(shown: Bookmark): void {
    show(shown)
    item.querySelector('a')?.focus()
  }

  /** The first click asks, the second removes: a click by mistake loses nothing, and no dialog is in the way. */
  function removeButton({ id, title, url }: Bookmark): HTMLButtonElement {
    const button = h(
      'button',
      { type: 'button', className: 'link', 'aria-label': `Remove ${title || url}` },
      'Remove',
    )
    let isSure = false
    button.addEventListener('blur', () => ask(false))
    button.addEventListener('click', async () => {
      if (!isSure) return ask(true)
      button.disabled = true
      try {
        await call('DELETE', `/api/bookmarks/${id}`)
        const neighbour = item.nextElementSibling ?? item.previousElementSibling
        item.remove()
        neighbour?.querySelector('a')?.focus()
        actions.onRemoved()
      } catch (error) {
        button.disabled = false
        button.textContent = (error as Error).message
      }
    })
    return button

    function ask(next: boolean): void {
      isSure = next
      button.textContent = next ? 'Remove for good?' : 'Remove'
      button.classList.toggle('danger', next)
      button.ariaLabel = next ? `Remove ${title || url} for good` : `Remove ${title || url}`
    }
  }
}

/** The services store only http and https URLs. The page does not rely on that. */
function safeHref(url: string): string {
  return /^https?:/i.test(url) ? url : '#'
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : ''
}

export function splitTags(text: string): string[] {
  return [...new Set(text.split(',').map((tag) => tag.trim()))].filter(Boolean)
}
