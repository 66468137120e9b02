/**
 * The path of a folder as one text: `Dev/PHP` is PHP inside Dev, and the empty text is the top. A slash or backslash inside
 * a name has a backslash before it (`AC\/DC`), so each path has only one meaning.
 */
export function formatFolderPath(names: readonly string[]): string {
  return names.map((name) => name.replace(/[\\/]/g, String.raw`\$&`)).join('/')
}
