import type { Formation, ProcessType } from '../../formation.ts'
import { GRACE_S, IMAGES, PORT, USER, environmentOf, indent } from '../platform.ts'
import { isRelease, openVariables, secretsOf, type Variable, type VariablesOf } from '../variables.ts'

/** Where nothing is said of temporary files, there should be none. */
const SCRATCH_MIB = 64

/** What the pods of all process types have in common: the restricted Pod Security Standard, and room for temporary files. */
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

/** That of a release has neither port nor probes. */
export function renderContainer(type: ProcessType, formation: Formation, variables: VariablesOf): string {
  const { name } = type
  const isRunning = !isRelease(type, formation)
  const environment = isRunning ? environmentOf(type, formation) : {}
  // What whoever deploys it has to say: a ConfigMap of the process type's own, which an overlay fills.
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
    # Enough for some hundred requests a second, of 1 ms each. No limit of the processor:
    # it would be slowed down when there is most to do.
    requests: { cpu: 100m, memory: ${type.memoryMiB}Mi${renderDisk(type)} }
    limits: { memory: ${type.memoryMiB}Mi }
  volumeMounts:
    - { name: tmp, mountPath: /tmp }
`
}

/** So that it comes to a node that has the room. */
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
# The balancers hear within two seconds that a process drains, which is less than DRAIN_MS.
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
