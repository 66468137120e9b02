import { isWithin, Refusal } from './change.ts'

/** Removes the blocks of which no word is kept. A block is between the comments `keep: compose, prove` and `/keep`. */
export function withoutBlocks(text: string, kept: readonly string[]): string {
  const open: boolean[] = []
  const left: string[] = []
  let hasGone = false
  for (const line of text.split('\n')) {
    const [, words] = /^ *(?:<!--|#|\/\/) keep: ([a-z, ]+?)(?: -->)?$/.exec(line) ?? []
    if (words) open.push(words.split(', ').some((word) => kept.includes(word)))
    const isGone = open.includes(false)
    // Of the blank lines around a removed block, one is enough.
    if (!isGone && !(hasGone && line === '' && left.at(-1) === '')) left.push(line)
    hasGone = isGone
    if (/^ *(?:<!--|#|\/\/) \/keep(?: -->)?$/.test(line)) open.pop()
  }
  if (open.length > 0) throw new Refusal('A block "keep: …" has no end "/keep".')
  return left.join('\n')
}

/** The text without the names that it imports and does not use. */
export function withoutIdleImports(text: string): string {
  const statements = /^import (?:type )?\{([^}]+)\} from '[^']+'\n/gm
  const rest = text.replace(statements, '')
  const isUsed = (name: string): boolean => new RegExp(`\\b${name.split(' ').at(-1)}\\b`).test(rest)
  return text.replace(statements, (statement, list: string) => {
    const names = list.split(',').flatMap((name) => name.trim() || [])
    const used = names.filter(isUsed)
    if (used.length === names.length) return statement
    return used.length === 0 ? '' : statement.replace(list, ` ${used.join(', ')} `)
  })
}

/** The text without the rows of tables and of the floor plan that name a removed command, path or topic. */
export function withoutRows(
  text: string,
  scripts: readonly string[],
  paths: readonly string[],
  topics: readonly string[],
): string {
  const words = [...scripts.map((script) => `pnpm ${script}`), ...paths].join('|')
  const rooms = paths.flatMap((path) => /^(?:infra|packages)\/([^/]+)$/.exec(path)?.[1] ?? [])
  const left = topics.reduce(
    (rest, topic) => rest.replace(new RegExp(`^\\|[^|]*${topic}.*\\n`, 'gim'), ''),
    text.replace(new RegExp(`^\\|.*\`(?:${words})\\b.*\\n`, 'gm'), ''),
  )
  return rooms.reduce(
    (rest, room) => rest.replace(new RegExp(`^ {2}${room}/ .*\\n(?: {20,}.*\\n)*`, 'm'), ''),
    left,
  )
}

/** The settings without the entries of lists that are removed paths, or paths in them. */
export function withoutPaths(settings: unknown, paths: readonly string[]): unknown {
  if (Array.isArray(settings)) {
    const isGone = (entry: unknown): boolean =>
      typeof entry === 'string' && isWithin(entry.replace('$TURBO_ROOT$/', ''), paths)
    return settings.filter((entry) => !isGone(entry)).map((entry) => withoutPaths(entry, paths))
  }
  if (typeof settings !== 'object' || settings === null) return settings
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, withoutPaths(value, paths)]))
}

/** The new README. Where the template has `<!-- README: Every day -->`, it gets that section of the README before. */
export function ownReadme(template: string, before: string, words: { name: string; origin: string }): string {
  const sections = new Map(
    before.split(/^(?=## )/m).map((text) => [/^## (.+)/.exec(text)?.[1] ?? '', text.trimEnd()]),
  )
  return template
    .replaceAll('any-name', words.name)
    .replaceAll('any-release', words.origin)
    .replace(/^<!-- README: (.+) -->$/gm, (_, title: string) => sections.get(title) ?? '')
}
