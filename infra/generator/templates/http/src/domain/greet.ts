/** The rules are here, and know neither HTTP nor the process. */
export function greet(name: string): string {
  return `Hello, ${name.trim() || 'world'}`
}
