import type { Formation, ProcessType } from '../../formation.ts'
import { GRACE_S, IMAGES, PORT, USER, environmentOf, indent } from '../platform.ts'
import { isRelease, openVariables, secretsOf, type Variable, type VariablesOf } from '../variables.ts'

/** The limit for temporary files of a process type that does not declare scratchMiB: it should write nearly none. */
const SCRATCH_MIB = 64

/** The common part of all pods: the restricted Pod Security Standard, and disk space for temporary files. */
export function renderPod({ scratchMiB = SCRATCH_MIB }: ProcessType): string {
  return `# The process drains by itself, so no hook sleeps before the signal. Longer than SHUTDOWN_DEADLINE_MS.
terminationGracePeriodSeconds: ${GRACE_S}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: ${USER}
  runAsGroup: ${USER}
  fsGroup: ${USER}
  seccompProfile: { type: RuntimeDefault }
volumes:
  - name: tmp
    # On the node's disk, not in memory.
    emptyDir: { sizeLimit: ${scratchMiB}Mi }
`
}

/** The container of a process type. A release has no port and no probes. */
export function renderContainer(type: ProcessType, formation: Formation, variables: VariablesOf): string {
  const { name } = type
  const isRunning = !isRelease(type, formation)
  const environment = isRunning ? environmentOf(type, formation) : {}
  // Variables that an operator must set are in a ConfigMap of the process type, which an overlay fills.
  const maps = ['nonstick', ...(openVariables(type, formation, variables).length > 0 ? [name] : [])]
  return `- name: ${name}
  image: ${IMAGES}/${name}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL] }
${isRunning ? indent(renderProbes(), 2) : ''}  envFrom:
${maps.map((map) => `    - configMapRef: { name: ${map} }\n`).join('')}  env:
${indent(Object.entries(environment).map(renderValue).join(''), 4)}${indent(secretsOf(type, variables).map(renderSecret).join(''), 4)}  resources:
    # Enough for some hundred requests per second of 1 ms each. There is no CPU limit:
    # it would slow the process down when there is most to do.
    requests: { cpu: 100m, memory: ${type.memoryMiB}Mi${renderDisk(type)} }
    limits: { memory: ${type.memoryMiB}Mi }
  volumeMounts:
    - { name: tmp, mountPath: /tmp }
`
}

/** Requests disk space, so that the pod is scheduled on a node that has it. */
function renderDisk({ scratchMiB }: ProcessType): string {
  return scratchMiB ? `, ephemeral-storage: ${scratchMiB}Mi` : ''
}

function renderProbes(): string {
  return `ports:
  - { name: http, containerPort: ${PORT} }
startupProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
# The load balancers notice within two seconds that a process drains, which is less than DRAIN_MS.
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 1
`
}

function renderValue([name, value]: [string, string]): string {
  return `- { name: ${name}, value: '${value}' }\n`
}

function renderSecret({ name, kept, isRequired }: Variable): string {
  const optional = isRequired ? '' : ', optional: true'
  return `- { name: ${name}, valueFrom: { secretKeyRef: { name: ${kept!.store}, key: ${kept!.key}${optional} } } }\n`
}
