type Child = Node | string | false | null | undefined
type Props<K extends keyof HTMLElementTagNameMap> = Partial<Omit<HTMLElementTagNameMap[K], 'style'>> & {
  [attribute: `aria-${string}` | `data-${string}`]: string
  role?: string
}

/** Creates an element. Properties have DOM names (`className`, `onclick`); `aria-*`, `data-*` and `role` are attributes. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props<K> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) {
    if (name.includes('-') || name === 'role') element.setAttribute(name, String(value))
    else Object.assign(element, { [name]: value })
  }
  element.append(...children.filter((child) => child !== false && child != null))
  return element
}
