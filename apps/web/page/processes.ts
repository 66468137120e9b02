import { answers, h } from '@repo/page'

/** Shows which processes have answered, and how often. Only in development do answers name their process. */
export function processesStrip(): HTMLElement {
  const list = h('ul')
  const strip = h(
    'footer',
    { className: 'processes', hidden: true, 'aria-label': 'Processes that answered' },
    h('span', {}, 'answered by'),
    list,
  )
  const seen = new Map<string, { item: HTMLLIElement; times: number }>()

  answers.addEventListener('answer', (event) => {
    const name = (event as CustomEvent<string>).detail
    const process = seen.get(name) ?? { item: h('li', { 'data-process': name }), times: 0 }
    process.times++
    process.item.textContent = `${name} ×${process.times}`
    seen.set(name, process)
    for (const { item } of seen.values()) item.classList.toggle('latest', item === process.item)
    list.replaceChildren(...[...seen].sort(([a], [b]) => a.localeCompare(b)).map(([, { item }]) => item))
    strip.hidden = false
  })
  return strip
}
