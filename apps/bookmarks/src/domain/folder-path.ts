/**
 * A folder's place as one text: `Dev/PHP` is PHP inside Dev, and the empty text is the top. A slash or backslash that belongs
 * to a name has a backslash before it (`AC\/DC`), so every path reads back as what it was.
 */
export function formatFolderPath(names: readonly string[]): string {
  return names.map((name) => name.replace(/[\\/]/g, String.raw`\$&`)).join('/')
}
