import { upstreamsOf, type Formation, type Need, type ProcessType } from '../formation.ts'

/** The prefix of image names. Put your registry in front, such as `ghcr.io/you/nonstick`, and run `pnpm infra`. */
export const IMAGES = 'nonstick'

/** The port on which a process listens in its container. Its Service, its probes and the load balancer use it. */
export const PORT = 3000

/** Seconds from SIGTERM to SIGKILL. Longer than SHUTDOWN_DEADLINE_MS, which is longer than DRAIN_MS. */
export const GRACE_S = 30

/** The path of Node in the image, which has no shell and no useful PATH. */
export const NODE = '/nodejs/bin/node'

/** The user id of processes in containers: `nonroot` of distroless images. */
export const USER = 65532

/** The label of pods that use a backing service: the network policies allow these pods to reach it. */
export function labelOf(need: Need): string {
  return `nonstick/needs-${need}`
}

/** Addresses that are on no public network. @see RFC 1918, RFC 4193, RFC 6598 */
export const PRIVATE_NETWORKS = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']

/**
 * The variables of a running process, besides its secrets and the shared ones. Only the private network can reach its port, so
 * it trusts the load balancer there, which names the client and replaces the forwarded headers that a client sends.
 */
export function environmentOf(type: ProcessType, formation: Formation): Record<string, string> {
  return {
    PORT: `${PORT}`,
    TRUST_PROXY: 'uniquelocal',
    ...upstreamsOf(type, formation, ({ name }) => [`http://${name}:${PORT}`]),
  }
}

/** Indents every line that is not empty by this many spaces. */
export function indent(text: string, blanks: number): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(blanks))
}
