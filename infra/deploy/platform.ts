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

/** The label of a pod that uses a store. By it the network policies let it reach that store. */
export function labelOf(need: Need): string {
  return `nonstick/needs-${need}`
}

/** Addresses that are on no public network. @see RFC 1918, RFC 4193, RFC 6598 */
export const PRIVATE_NETWORKS = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']

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
