/**
 * Puts one name in the place of another, in each of its spellings. The template's name has two words, so that it shows
 * which spelling a place wants.
 *
 * @param from as `any-name`: `anyName`, `AnyName`, `any_name` and `ANY_NAME` are found as well
 */
export function rename(text: string, from: string, to: string): string {
  const [found, wanted] = [spellings(from), spellings(to)]
  return text.replaceAll(new RegExp(found.join('|'), 'g'), (spelling) => wanted[found.indexOf(spelling)]!)
}

/** As tables and migrations are named. */
export function snakeCase(name: string): string {
  return name.replaceAll('-', '_')
}

export function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

export function pascalCase(name: string): string {
  return camelCase(`-${name}`)
}

function spellings(name: string): string[] {
  return [name, camelCase(name), pascalCase(name), snakeCase(name), snakeCase(name).toUpperCase()]
}
