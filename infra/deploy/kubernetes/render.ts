import { calleesOf, type Formation, type Need, type ProcessType } from '../../formation.ts'
import { indent, labelOf, PORT, PRIVATE_NETWORKS } from '../platform.ts'
import type { Platform } from '../render.ts'
import { openVariables, reads, type VariablesOf } from '../variables.ts'
import { renderContainer, renderPod } from './pod.ts'

export const FOLDER = 'infra/deploy/kubernetes/base'

/** The backing service for each need, and its ports. */
const STORES: Record<Need, { what: string; ports: number[] }> = {
  database: { what: 'Postgres', ports: [5432] },
  session: { what: 'the session store', ports: [6379, 26379, 11211] },
  // In a private network. On the public internet, `reaches` opens the way to it.
  mail: { what: 'the mail server', ports: [25, 465, 587, 1025] },
}
const NOTE =
  '# Written by `pnpm infra` from the "processes" in apps/*/package.json. docs/operations.md says how to apply it.\n'

/** A Kustomize base: a namespace, network policies, one file for each process type, and the ingress. */
export const render: Platform['render'] = (formation, variables) => {
  const files: [string, string][] = [
    ['namespace.yaml', renderNamespace()],
    ['network.yaml', renderNetwork(formation)],
    ...formation.release.map((type): [string, string] => [
      `${type.name}.yaml`,
      renderRelease(type, formation, variables),
    ]),
    ...formation.running.map((type): [string, string] => [
      `${type.name}.yaml`,
      renderRunning(type, formation, variables),
    ]),
    ['ingress.yaml', renderIngress(formation)],
  ]
  const openOnes = formation.running.map((type): [string, string[]] => [
    type.name,
    openVariables(type, formation, variables).map(({ name }) => name),
  ])
  const hasMail = formation.running.some((type) => reads(type, 'MAIL_FROM', variables))
  const all: [string, string][] = [
    ...files,
    ['kustomization.yaml', renderKustomization(files, hasMail, openOnes)],
  ]
  return all.map(([name, text]) => [`${FOLDER}/${name}`, `${NOTE}${text}`])
}

function renderKustomization(
  files: [string, string][],
  hasMail: boolean,
  openOnes: [string, string[]][],
): string {
  return `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: nonstick
labels:
  - pairs: { app.kubernetes.io/part-of: nonstick }
resources:
${files.map(([name]) => `  - ${name}`).join('\n')}
# Its name ends with a hash of its content, so that a change restarts the pods that read it. Overlays override values.
# What the release reads is applied with it (docs/operations.md).
configMapGenerator:
  - name: nonstick
    options:
      labels: { nonstick/stage: release }
    literals:
      - PUBLIC_ORIGIN=https://nonstick.example
      - LOG_LEVEL=info
${hasMail ? '      - MAIL_FROM=Nonstick <mail@nonstick.example>\n' : ''}${openOnes
    .filter(([, names]) => names.length > 0)
    .map(
      ([type, names]) =>
        `  - name: ${type}\n    literals:\n${names.map((name) => `      - ${name}=\n`).join('')}`,
    )
    .join('')}`
}

function renderNamespace(): string {
  return `apiVersion: v1
kind: Namespace
metadata:
  name: nonstick
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
`
}

function renderNetwork({ release, running }: Formation): string {
  const needs = new Set([...release, ...running].flatMap((type) => type.needs))
  return `# Whatever the policies of the process types do not allow is refused, in both directions. They must exist before the release runs.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  labels: { nonstick/stage: release }
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: names
  labels: { nonstick/stage: release }
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
    - to:
        - namespaceSelector:
            matchLabels: { kubernetes.io/metadata.name: kube-system }
      ports:
        - { port: 53, protocol: UDP }
        - { port: 53, protocol: TCP }
${Object.entries(STORES)
  .filter(([need]) => needs.has(need as Need))
  .map(([need, { what, ports }]) => renderStorePolicy(need as Need, what, ports))
  .join('')}`
}

function renderStorePolicy(need: Need, what: string, ports: readonly number[]): string {
  return `---
# A process that needs ${what} may reach it in the cluster or on a private address.
# An overlay says where it is exactly (docs/operations.md).
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: needs-${need}
  labels: { nonstick/stage: release }
spec:
  podSelector:
    matchLabels: { ${labelOf(need)}: 'true' }
  policyTypes: [Egress]
  egress:
    - to:
        - namespaceSelector: {}
${PRIVATE_NETWORKS.map((cidr) => `        - ipBlock: { cidr: '${cidr}' }\n`).join('')}      ports: [${ports.map((port) => `{ port: ${port} }`).join(', ')}]
`
}

function renderRelease(type: ProcessType, formation: Formation, variables: VariablesOf): string {
  return `# Runs before everything else of a release. A Job cannot be changed, so its name contains the release: overlays copy the
# tag of its image into it.
apiVersion: batch/v1
kind: Job
metadata:
  name: ${type.name}-release
  labels: { app.kubernetes.io/name: ${type.name}, nonstick/stage: release }
spec:
  # It is safe to repeat, and a second one waits for the first.
  backoffLimit: 3
  activeDeadlineSeconds: 1800
  ttlSecondsAfterFinished: 604800
  template:
    metadata:
      labels: { ${podLabels(type, 'release')} }
    spec:
      restartPolicy: Never
${indent(renderPod(type), 6)}      containers:
${indent(renderContainer(type, formation, variables), 8)}---
${renderPolicy(type)}`
}

function renderRunning(type: ProcessType, formation: Formation, variables: VariablesOf): string {
  const { name, route } = type
  const labels = `{ app.kubernetes.io/name: ${name} }`
  return [
    `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  labels: { app.kubernetes.io/name: ${name}, nonstick/stage: run }
spec:
  # The autoscaler decides how many there are: a number of replicas here would reset it at each release.
  revisionHistoryLimit: 5
  selector:
    matchLabels: ${labels}
  strategy:
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  template:
    metadata:
      labels: { ${podLabels(type, 'run')} }
    spec:
      topologySpreadConstraints:
${indent(renderSpread(name), 8)}${indent(renderPod(type), 6)}      containers:
${indent(renderContainer(type, formation, variables), 8)}`,
    ...(route === undefined ? [] : [renderService(name)]),
    route === undefined ? renderQueueScaler(name) : renderScaler(name),
    `apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: ${name}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: ${labels}
`,
    renderPolicy(type, formation),
  ].join('---\n')
}

function podLabels({ name, needs }: ProcessType, stage: 'release' | 'run'): string {
  return [
    `app.kubernetes.io/name: ${name}`,
    `nonstick/stage: ${stage}`,
    ...needs.map((need) => `${labelOf(need)}: 'true'`),
  ].join(', ')
}

function renderSpread(name: string): string {
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone']
    .map(
      (key) => `- maxSkew: 1
  topologyKey: ${key}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: { app.kubernetes.io/name: ${name} }
`,
    )
    .join('')
}

function renderService(name: string): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
spec:
  selector: { app.kubernetes.io/name: ${name} }
  ports:
    - { name: http, port: ${PORT}, targetPort: http }
`
}

function renderScaler(name: string): string {
  return `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: ${name}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: ${name} }
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: 70 }
`
}

function renderQueueScaler(name: string): string {
  return `# A worker that waits for an answer from outside uses no CPU, however long its queue is. So the length of the queue counts.
# Each worker reports its length on /metrics; docs/operations.md says how the autoscaler gets it.
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: ${name}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: ${name} }
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: External
      external:
        metric: { name: nonstick_queue_waiting, selector: { matchLabels: { worker: ${name} } } }
        target: { type: AverageValue, averageValue: '20' }
`
}

/** The network policy of a process type: allowed ingress and egress, besides its stores. */
function renderPolicy(type: ProcessType, formation?: Formation): string {
  const { name, route, reaches } = type
  const callees = formation ? calleesOf(type, formation) : []
  const callers = formation?.running.filter((other) => calleesOf(other, formation).includes(type)) ?? []
  const egress = [
    ...(callees.length > 0
      ? [
          `- to:
    - podSelector:
        matchExpressions:
          - { key: app.kubernetes.io/name, operator: In, values: [${callees.map(({ name }) => name).join(', ')}] }
  ports: [{ port: ${PORT} }]
`,
        ]
      : []),
    ...(reaches.length > 0
      ? [
          `# On the public internet, and on no private address: ${reaches.join(', ')}. A policy can name ports, but no hosts.
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [${[...PRIVATE_NETWORKS.filter((cidr) => !cidr.includes(':')), '169.254.0.0/16'].join(', ')}]
  ports: [${[...new Set(reaches.map((place) => place.split(':')[1]))].map((port) => `{ port: ${port} }`).join(', ')}]
`,
        ]
      : []),
  ]
  const ingress = [
    ...(route === undefined
      ? []
      : ['- namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ingress-nginx } }']),
    ...callers.map((caller) => `- podSelector: { matchLabels: { app.kubernetes.io/name: ${caller.name} } }`),
    '- namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: monitoring } }',
  ]
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ${name}${formation ? '' : '\n  labels: { nonstick/stage: release }'}
spec:
  podSelector:
    matchLabels: { app.kubernetes.io/name: ${name} }
  policyTypes: [Ingress, Egress]
${
  formation
    ? `  ingress:
    - from:
${indent(ingress.join('\n'), 8)}
      ports: [{ port: ${PORT} }]
`
    : ''
}${egress.length > 0 ? `  egress:\n${indent(egress.join(''), 4)}` : ''}`
}

/** Sends each service's route directly to the service, which saves a hop. The edge gets all other paths. */
function renderIngress({ running }: Formation): string {
  const routed = running.filter(({ route }) => route !== undefined)
  const paths = [
    ...['/livez', '/metrics', '/openapi.json', '/readyz'].map((path) => renderPath(path, 'Exact', 'nobody')),
    ...routed
      .sort((a, b) => b.route!.length - a.route!.length)
      .map(({ name, route }) => renderPath(route!, 'Prefix', name)),
  ]
  return `# What the edge tells the platform is internal: these paths lead to a service without pods, for which clients get 503.
apiVersion: v1
kind: Service
metadata:
  name: nobody
spec:
  ports:
    - { name: http, port: ${PORT} }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: nonstick
  annotations:
    # Uploads are streamed to the service; each service has its own limit.
    nginx.ingress.kubernetes.io/proxy-body-size: '0'
    nginx.ingress.kubernetes.io/proxy-request-buffering: 'off'
    # A request that could not be sent, or got no answer, goes to another pod, unless it may have changed something.
    nginx.ingress.kubernetes.io/proxy-connect-timeout: '1'
    nginx.ingress.kubernetes.io/proxy-next-upstream: error timeout
    nginx.ingress.kubernetes.io/proxy-next-upstream-tries: '3'
    nginx.ingress.kubernetes.io/proxy-next-upstream-timeout: '10'
spec:
  ingressClassName: nginx
  tls:
    - hosts: [nonstick.example]
      secretName: certificate
  rules:
    - host: nonstick.example
      http:
        paths:
${indent(paths.join(''), 10)}`
}

function renderPath(path: string, pathType: string, service: string): string {
  return `- path: ${path}
  pathType: ${pathType}
  backend: { service: { name: ${service}, port: { name: http } } }
`
}
