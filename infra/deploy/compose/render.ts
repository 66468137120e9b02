import { frontDoor, heapFlags, type Formation, type ProcessType } from '../../formation.ts'
import { GRACE_S, IMAGES, NODE, USER, environmentOf, indent } from '../platform.ts'
import type { Platform } from '../render.ts'
import { openVariables, reads, type VariablesOf } from '../variables.ts'
import { secretFilesOf } from './make-secrets.ts'

export { makeSecrets } from './make-secrets.ts'

/** Secrets of the stores and of the load balancer. */
const STORE_SECRETS = ['certificate.pem', 'postgres-password', 'redis.conf']

export const render: Platform['render'] = (formation, variables) => [
  ['infra/deploy/compose/compose.yaml', renderCompose(formation, variables)],
]

/** compose.yaml: the whole formation with its stores on one machine. */
export function renderCompose(formation: Formation, variables: VariablesOf): string {
  const { release, running } = formation
  const door = frontDoor(formation)
  const hasMail = running.some(({ needs }) => needs.includes('mail'))
  return `# Written by \`pnpm infra\` from the "processes" in apps/*/package.json. docs/operations.md says how to run it:
#
#   pnpm infra --secrets && docker compose -f infra/deploy/compose/compose.yaml up --build --scale accounts=3

x-contained: &contained
  restart: unless-stopped
  read_only: true
  tmpfs: [/tmp]
  cap_drop: [ALL]
  security_opt: ['no-new-privileges:true']

x-process: &process
  <<: *contained
  # Longer than SHUTDOWN_DEADLINE_MS, which is longer than DRAIN_MS.
  stop_grace_period: ${GRACE_S}s
  user: '${USER}:${USER}'

services:
  # TLS ends here, because browsers do not send production's cookies over plain http. It checks each second which processes are ready.
  balancer:
    <<: *contained
    image: docker.io/library/haproxy:3.2-alpine
    mem_limit: 256m
    ports: ['\${HTTPS_PORT:-8443}:8443']
    volumes: ['./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro']
    secrets: [certificate.pem]
    networks: [front]
    depends_on:
      ${door?.name}: { condition: service_healthy }

${[...release.map((type) => renderRelease(type, formation, variables)), ...running.map((type) => renderRunning(type, formation, variables))].join('\n')}
  # It starts as the image's own user, so that it needs no capability to change to it.
  postgres:
    <<: *contained
    image: docker.io/library/postgres:18-alpine
    user: '70:70'
    tmpfs: [/tmp, '/run/postgresql:mode=1777']
    shm_size: 128m
    mem_limit: 512m
    environment:
      POSTGRES_USER: nonstick
      POSTGRES_DB: nonstick
      POSTGRES_PASSWORD_FILE: /run/secrets/postgres-password
    secrets: [postgres-password]
    volumes: ['postgres:/var/lib/postgresql']
    networks: [back]
    healthcheck:
      test: [CMD, pg_isready, --username=nonstick, --host=127.0.0.1]
      interval: 2s
      retries: 30

  # A full Redis refuses new sessions; it never evicts those of users who are signed in. To rewrite its file, it may need
  # twice its memory.
  redis:
    <<: *contained
    image: docker.io/library/redis:8-alpine
    user: '999:1000'
    mem_limit: 640m
    command: [redis-server, /run/secrets/redis.conf, --appendonly, 'yes', --maxmemory, 256mb, --maxmemory-policy, noeviction]
    secrets: [redis.conf]
    volumes: ['redis:/data']
    networks: [back]
    healthcheck:
      test: [CMD, redis-cli, ping]
      interval: 2s
      retries: 30

${hasMail ? MAILPIT : ''}# Nothing on \`back\` reaches the internet. A process that calls the internet declares it, and is on \`outside\`, too.
networks:
  front: {}
  back: { internal: true }
  outside: {}

volumes:
  postgres: {}
  redis: {}

# \`pnpm infra --secrets\` creates them, once. No other file contains a secret.
secrets:
${[...STORE_SECRETS, ...[...release, ...running].flatMap((type) => secretFilesOf(type, formation, variables))]
  .toSorted()
  .filter((name, n, names) => name !== names[n - 1])
  .map((name) => `  ${name}: { file: ../../../.secrets/${name} }`)
  .join('\n')}
`
}

/** Delivers nothing, so that the whole can be tried without a mail server. MAIL_URL in .secrets/mail.env names another. */
const MAILPIT = `  # Catches the mails: read them on http://localhost:8025. With another MAIL_URL in .secrets/mail.env nothing comes here.
  mailpit:
    <<: *contained
    image: docker.io/axllent/mailpit:v1.31
    user: '${USER}:${USER}'
    mem_limit: 128m
    environment: { MP_DISABLE_VERSION_CHECK: 'true' }
    ports: ['127.0.0.1:8025:8025']
    networks: [front, back]

`

function renderRelease(type: ProcessType, formation: Formation, variables: VariablesOf): string {
  return `  # The release: it brings the database up to date, and exits before any other process starts.
  ${type.name}:
    <<: *process
    restart: 'no'
${indent(renderImage(type, formation, variables), 4)}    mem_limit: ${type.memoryMiB}m
    networks: [back]
    depends_on:
      postgres: { condition: service_healthy }
`
}

function renderRunning(type: ProcessType, formation: Formation, variables: VariablesOf): string {
  const waitsFor = [
    ...(type.needs.includes('session') ? ['redis: { condition: service_healthy }'] : []),
    ...formation.release.map(({ name }) => `${name}: { condition: service_completed_successfully }`),
  ]
  const networks = [
    ...(type.route === '/' ? ['front'] : []),
    'back',
    ...(type.reaches.length > 0 ? ['outside'] : []),
  ]
  const environment = [
    ...Object.entries(environmentOf(type, formation)).map(([name, value]) => `${name}: '${value}'`),
    ...(reads(type, 'MAIL_FROM', variables)
      ? ['MAIL_FROM: ${MAIL_FROM:-Nonstick <nonstick@localhost>}']
      : []),
    // From the shell, or from a file .env beside compose.yaml.
    ...openVariables(type, formation, variables).map(({ name }) => `${name}: \${${name}:-}`),
  ]
  return `  ${type.name}:
    <<: *process
${indent(renderImage(type, formation, variables), 4)}    environment:
      PUBLIC_ORIGIN: \${PUBLIC_ORIGIN:-https://localhost:8443}
${indent(environment.join('\n'), 6)}
    mem_limit: ${type.memoryMiB}m
${type.scratchMiB ? indent(SCRATCH, 4) : ''}    networks: [${networks.join(', ')}]
    depends_on:
${indent(waitsFor.join('\n'), 6)}
`
}

/** A volume per container. A tmpfs counts as memory, so a large file in it could get the process killed. */
const SCRATCH = `# On disk, because files in a tmpfs count as memory.
tmpfs: []
volumes: [/tmp]
`

/** Node itself reads the secrets from files, so that neither `docker inspect` nor a shell shows them. */
function renderImage(type: ProcessType, formation: Formation, variables: VariablesOf): string {
  const { name, app } = type
  const files = secretFilesOf(type, formation, variables)
  const secrets = files.map((file) => `--env-file=/run/secrets/${file}`)
  const flags = ['--enable-source-maps', ...heapFlags(type), ...secrets]
  return `image: ${IMAGES}/${name}
build:
  context: ../../..
  dockerfile: infra/deploy/image/Dockerfile
  args: { PROCESS: ${name}, APP: ${app} }
entrypoint: [${[NODE, ...flags, 'main.js'].join(', ')}]
${files.length > 0 ? `secrets: [${files.join(', ')}]\n` : ''}`
}
