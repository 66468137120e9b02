import type { FastifyInstance } from 'fastify'

/**
 * Which methods the routes of a path know, for the answer 405. Fastify's router can only say whether a path and a
 * method together have a route, so paths are compared here, segment by segment, and only when there was none.
 */
export function listAllowedMethods(app: FastifyInstance): (url: string) => string[] {
  const routes = new Map<string, Set<string>>()

  app.addHook('onRoute', ({ url, method }) => {
    const methods = routes.get(url) ?? new Set()
    for (const name of [method].flat()) methods.add(name)
    routes.set(url, methods)
  })

  return (url) => {
    const path = url.split(/[?#]/)[0]!.split('/')
    const matching = [...routes].filter(([pattern]) => isMatch(pattern.split('/'), path))
    return [...new Set(matching.flatMap(([, methods]) => [...methods]))].sort()
  }
}

function isMatch(pattern: string[], path: string[]): boolean {
  const isOpen = pattern.at(-1) === '*'
  const fixed = isOpen ? pattern.slice(0, -1) : pattern
  if (isOpen ? path.length <= fixed.length : path.length !== fixed.length) return false
  return fixed.every((segment, index) => segment.includes(':') || segment === path[index])
}
