import { upstreams, type Formation, type Need, type ProcessType } from '../formation.ts'

/** What the names of our images begin with. Put your registry before it, as `ghcr.io/you/nonstick`, and run `pnpm infra`. */
export const IMAGES = 'nonstick'

/** Where a process listens in its container, and what its Service, probes and balancer name. */
export const PORT = 3000

/** When a platform ends a process that has not ended by itself: later than SHUTDOWN_DEADLINE_MS, later than DRAIN_MS. */
export const GRACE_S = 30

/** Where the image has Node. There is no shell and no PATH to speak of. */
export const NODE = '/nodejs/bin/node'

/** Nobody's in particular, as in distroless images. */
export const USER = 65532

/** What has to be there for a need: its secret, and the variables in it. */
export const SECRETS: Record<Need, readonly string[]> = {
  database: ['DATABASE_URL'],
  session: ['SESSION_STORE_URL', 'SESSION_SECRETS'],
}

/**
 * What a running process is told, besides its secrets and PUBLIC_ORIGIN. Whoever can reach its port is on the private
 * network, so the balancer there is believed; it says who asked, and replaces what a browser claims about that.
 */
export function environmentOf(type: ProcessType, formation: Formation): Record<string, string> {
  return {
    PORT: `${PORT}`,
    TRUST_PROXY: 'uniquelocal',
    ...(type.route === '/' && {
      UPSTREAMS: upstreams(formation, ({ name }) => [`http://${name}:${PORT}`]),
    }),
  }
}

/** Every line of a text, so many blanks further in. */
export function indent(text: string, blanks: number): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(blanks))
}
