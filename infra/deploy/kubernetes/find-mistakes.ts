import type { Formation } from '../../formation.ts'
import { PORT } from '../platform.ts'
import { secretsOf, type VariablesOf } from '../variables.ts'

/** A parsed Kubernetes document. Its contents are checked here, so they have no exact type. */
export interface Document {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: Record<string, string> }
  // oxlint-disable-next-line typescript/no-explicit-any -- what the API server would accept, right or wrong
  spec?: any
  data?: Record<string, string>
}

/** What the documents are compared with. */
export interface Surroundings {
  formation: Formation
  variables: VariablesOf
  /** Whether a process answers this path. */
  answers(path: string): Promise<boolean>
}

/** @returns mistakes that would show in a cluster although every document is valid, one sentence each */
export async function findMistakes(documents: readonly Document[], about: Surroundings): Promise<string[]> {
  // The documents that are applied first: see the command for a release in docs/operations.md.
  const first = documents.filter(({ metadata }) => metadata.labels?.['nonstick/stage'] === 'release')
  if (first.length < documents.length)
    return [
      ...(await findMistakes(first, { ...about, formation: { ...about.formation, running: [] } })).map(
        (mistake) => `of what the release applies first: ${mistake}`,
      ),
      ...(await findMistakesIn(documents, about)),
    ]
  return findMistakesIn(documents, about)
}

async function findMistakesIn(documents: readonly Document[], about: Surroundings): Promise<string[]> {
  const of = (kind: string): Document[] => documents.filter((document) => document.kind === kind)
  const workloads = documents.filter(({ spec }) => spec?.template?.spec?.containers)
  const ours = workloads.filter(({ kind }) => kind !== 'StatefulSet')
  const labelsOf = (document: Document): Record<string, string> =>
    document.spec.template.metadata?.labels ?? {}
  const selected = (selector: Record<string, string>): Document[] =>
    workloads.filter((workload) =>
      Object.entries(selector).every(([key, value]) => labelsOf(workload)[key] === value),
    )
  const mistakes: string[] = []

  for (const { name } of [...about.formation.running, ...about.formation.release]) {
    // By its label: the Job of a release has the release in its name, too.
    if (!ours.some((workload) => labelsOf(workload)['app.kubernetes.io/name'] === name)) {
      mistakes.push(`${name} of the formation is deployed by nobody`)
    }
    if (!of('NetworkPolicy').some(({ metadata }) => metadata.name === name)) {
      mistakes.push(`${name} has no network policy`)
    }
  }
  for (const workload of workloads) mistakes.push(...podMistakes(workload))
  for (const workload of ours) {
    mistakes.push(
      ...portMistakes(workload),
      ...shutdownMistakes(workload, about),
      ...environmentMistakes(workload, documents, about),
      ...(await probeMistakes(workload, about)),
    )
  }
  for (const { metadata, spec } of of('NetworkPolicy')) {
    if (spec.egress?.some(({ to }: Document['spec']) => !to?.length)) {
      mistakes.push(`the policy ${metadata.name} lets pods reach any address`)
    }
    if (spec.ingress?.some(({ from }: Document['spec']) => !from?.length)) {
      mistakes.push(`the policy ${metadata.name} lets anybody in`)
    }
  }
  for (const { metadata, spec } of of('Deployment')) {
    const scaler = of('HorizontalPodAutoscaler').filter(
      ({ spec }) => spec.scaleTargetRef.name === metadata.name,
    )
    if (scaler.length > 0 && spec.replicas !== undefined) {
      mistakes.push(`${metadata.name} has replicas beside an autoscaler, so each release sets it back`)
    }
    if (scaler.length > 1) mistakes.push(`${metadata.name} has ${scaler.length} autoscalers`)
    if (selected(spec.selector.matchLabels).length !== 1) {
      mistakes.push(`${metadata.name} does not select its own pods and no others`)
    }
  }
  for (const { metadata, spec } of of('HorizontalPodAutoscaler')) {
    if (!of('Deployment').some((target) => target.metadata.name === spec.scaleTargetRef.name)) {
      mistakes.push(`the autoscaler ${metadata.name} scales ${spec.scaleTargetRef.name}, which is not there`)
    }
  }
  for (const { metadata, spec } of of('PodDisruptionBudget')) {
    if (selected(spec.selector.matchLabels).length === 0)
      mistakes.push(`the budget ${metadata.name} is for no pod`)
  }
  for (const { metadata, spec } of of('Service')) {
    if (!spec.selector) continue
    const [workload] = selected(spec.selector)
    if (!workload) mistakes.push(`the service ${metadata.name} selects no pod`)
    for (const { port, targetPort = port } of workload ? spec.ports : []) {
      const open = portsOf(workload!)
      if (!open.some(({ name, containerPort }) => targetPort === name || targetPort === containerPort)) {
        mistakes.push(`the service ${metadata.name} leads to port ${targetPort}, which no container opens`)
      }
    }
  }
  for (const { spec } of of('Ingress')) {
    for (const { path, backend } of spec.rules.flatMap((rule: Document['spec']) => rule.http.paths)) {
      const service = of('Service').find(({ metadata }) => metadata.name === backend.service.name)
      const isOpen = service?.spec.ports.some(
        ({ name, port }: Document['spec']) =>
          name === backend.service.port.name || port === backend.service.port.number,
      )
      if (!isOpen)
        mistakes.push(`the ingress sends ${path} to ${backend.service.name}, which has no such port`)
    }
  }
  return mistakes
}

function portsOf(workload: Document): { name: string; containerPort: number }[] {
  return workload.spec.template.spec.containers.flatMap(({ ports = [] }: Document['spec']) => ports)
}

/** The restricted Pod Security Standard, and Node as process 1. */
function podMistakes({ metadata, spec }: Document): string[] {
  const { securityContext: pod = {}, containers, automountServiceAccountToken } = spec.template.spec
  const found = [
    [pod.runAsNonRoot === true && pod.runAsUser > 0, 'may run as root'],
    [pod.seccompProfile?.type === 'RuntimeDefault', 'has no seccomp profile'],
    [automountServiceAccountToken === false, 'holds a key to the cluster that it does not need'],
  ]
  for (const { securityContext = {}, command, lifecycle, resources = {} } of containers) {
    found.push(
      [securityContext.allowPrivilegeEscalation === false, 'may get privileges'],
      [securityContext.readOnlyRootFilesystem === true, 'can write to its root'],
      [String(securityContext.capabilities?.drop) === 'ALL', 'keeps capabilities'],
      [
        !/(^|\/)(sh|bash|pnpm|npm|npx)$/.test(command?.[0] ?? ''),
        `has ${command?.[0]} as process 1, which hears no signal`,
      ],
      [!lifecycle?.preStop, 'sleeps before its signal, though it drains by itself'],
      [resources.requests?.memory && resources.limits?.memory, 'does not say what memory it needs'],
    )
  }
  return found.filter(([isRight]) => !isRight).map(([, words]) => `${metadata.name} ${words}`)
}

/** Each port that a container opens must be the port on which its process listens. */
function portMistakes({ metadata, spec }: Document): string[] {
  return spec.template.spec.containers.flatMap(({ ports = [], env = [] }: Document['spec']) => {
    const port = env.find(({ name }: Document['spec']) => name === 'PORT')?.value
    const isRight = ports.every(
      ({ containerPort }: Document['spec']) => containerPort === PORT && port === `${PORT}`,
    )
    return isRight ? [] : [`${metadata.name} opens a port that it does not listen on (PORT is ${port})`]
  })
}

/** Checks that grace period > deadline > drain > the time that load balancers need to notice. */
function shutdownMistakes({ metadata, kind, spec }: Document, { variables }: Surroundings): string[] {
  if (kind === 'Job') return []
  const { terminationGracePeriodSeconds: grace = 30, containers } = spec.template.spec
  return containers.flatMap(({ name: container, env = [], readinessProbe }: Document['spec']) => {
    const declared = new Map((variables.get(container) ?? []).map((one) => [one.name, one]))
    const valueOf = (name: string): number =>
      Number(env.find((one: Document['spec']) => one.name === name)?.value ?? declared.get(name)?.default)
    const { periodSeconds = 10, failureThreshold = 3 } = readinessProbe ?? {}
    const times: [string, number][] = [
      ['the grace of the platform', grace * 1000],
      ['SHUTDOWN_DEADLINE_MS', valueOf('SHUTDOWN_DEADLINE_MS')],
      ['DRAIN_MS', valueOf('DRAIN_MS')],
      ['what the balancers need to notice', periodSeconds * failureThreshold * 1000],
    ]
    return times.slice(1).flatMap(([shorter, ms], i) => {
      const [longer, longerMs] = times[i]!
      return longerMs > ms
        ? []
        : [`${metadata.name}: ${longer} (${longerMs} ms) is not longer than ${shorter} (${ms} ms)`]
    })
  })
}

/** A document sets only variables that the app declares, and all that it requires. It contains no secret. */
function environmentMistakes(
  workload: Document,
  documents: readonly Document[],
  about: Surroundings,
): string[] {
  const { metadata, spec } = workload
  const { variables, formation } = about
  const mistakes: string[] = []
  for (const { name: container, env = [], envFrom = [] } of spec.template.spec.containers) {
    const type = [...formation.running, ...formation.release].find(({ name }) => name === container)
    if (!type) continue
    const declared = new Map((variables.get(type.name) ?? []).map((one) => [one.name, one]))
    const secrets = new Map(secretsOf(type, variables).map(({ name, kept }) => [name, kept]))
    const maps = envFrom.flatMap(({ configMapRef }: Document['spec']) =>
      documents.filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef?.name),
    )
    if (maps.length !== envFrom.length) mistakes.push(`${metadata.name} reads a ConfigMap that is not there`)
    const given = new Set<string>(maps.flatMap(({ data }: Document) => Object.keys(data ?? {})))
    for (const { name, value, valueFrom } of env) {
      given.add(name)
      if (!declared.has(name))
        mistakes.push(`${metadata.name} is given ${name}, which no schema of it declares`)
      const key = valueFrom?.secretKeyRef?.key
      if (valueFrom && key !== (secrets.get(name)?.key ?? name))
        mistakes.push(`${metadata.name} takes ${name} from ${key}, another variable`)
      if (value && secrets.has(name)) mistakes.push(`${metadata.name} shows ${name} to all who can read`)
    }
    for (const { name, isRequired } of declared.values()) {
      if (isRequired && !given.has(name))
        mistakes.push(`${metadata.name} is not given ${name}, without which it does not start`)
    }
  }
  return mistakes
}

async function probeMistakes(
  { metadata, kind, spec }: Document,
  { answers }: Surroundings,
): Promise<string[]> {
  const mistakes: string[] = []
  for (const container of spec.template.spec.containers) {
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      const path = container[probe]?.httpGet?.path
      if (kind === 'Deployment' && !path) mistakes.push(`${metadata.name} has no ${probe}`)
      else if (path && !(await answers(path)))
        mistakes.push(`${metadata.name}: the ${probe} asks ${path}, which nobody answers`)
    }
  }
  return mistakes
}
