/** The rules of the service are in this folder. They use neither HTTP nor the process. */
export function greet(name: string): string {
  return `Hello, ${name.trim() || 'world'}`
}
