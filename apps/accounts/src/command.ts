import { parseArgs } from 'node:util'
import { loadEnv } from '@repo/config'
import { endAllSessions, listSessions } from '@repo/session'
import { buildApp } from './app.ts'
import {
  findAccount,
  grantRole,
  listRoles,
  lockAccount,
  revokeRole,
  unlockAccount,
  type Account,
} from './domain/administer.ts'
import { noteEvent, type Origin } from './domain/security-events.ts'
import { envSchema } from './env.ts'
import { openResources } from './resources.ts'

// A one-off process of administrators, with the code and the environment of the service (https://12factor.net/admin-processes).

const HELP = `pnpm accounts <command>

  list                    the accounts that have a role
  show <email>            an account, and its sessions
  grant <email> <role>    gives it a role, such as admin, and ends its sessions
  revoke <email> <role>   takes the role away, and ends its sessions
  end-sessions <email>    ends its sessions
  lock <email>            ends its sessions, and nobody can sign in to it
  unlock <email>          ends that

What it says is done is in effect, in every process.
`

/** How many words follow each command. */
const WORDS: Record<string, number> = {
  list: 0,
  show: 1,
  grant: 2,
  revoke: 2,
  'end-sessions': 1,
  lock: 1,
  unlock: 1,
}

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h', default: false } },
})
const [command = '', ...words] = positionals

if (options.help) {
  console.log(HELP)
} else if (!Object.hasOwn(WORDS, command) || words.length !== WORDS[command]) {
  console.error(`That is not a command.\n\n${HELP}`)
  process.exitCode = 1
} else {
  await run(words[0]!, words[1]!).catch((error: Error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}

async function run(email: string, role: string): Promise<void> {
  const env = loadEnv(envSchema, process.env)
  await using resources = await openResources(env)
  // It does not listen. It is the service's own view of sessions.
  await using app = await buildApp(env, resources)
  const { database } = resources
  const origin: Origin = { network: '', userAgent: 'pnpm accounts', noted: [] }
  const administration = { database, endSessions: (id: string) => endAllSessions(app, id), origin }

  if (command === 'list') {
    for (const account of await listRoles(database)) printAccount(account)
    return
  }
  const account = await findAccount(database, email)
  const { id } = account
  switch (command) {
    case 'show':
      printAccount(account)
      for (const { createdAt, lastSeenAt, userAgent } of await listSessions(app, id))
        console.log(`  since ${createdAt.toISOString()}, seen ${lastSeenAt.toISOString()}, ${userAgent}`)
      return
    case 'grant':
      return printAccount(await grantRole(administration, id, role))
    case 'revoke':
      return printAccount(await revokeRole(administration, id, role))
    case 'lock':
      return printAccount(await lockAccount(administration, id))
    case 'unlock':
      return printAccount(await unlockAccount(administration, id))
    case 'end-sessions':
      console.log(`${email}: ended ${await endAllSessions(app, id)} sessions`)
      await noteEvent(database, origin, 'sessions-ended', id)
  }
}

function printAccount({ email, roles, lockedAt }: Account): void {
  const lock = lockedAt && `locked since ${lockedAt.toISOString()}`
  console.log([email, roles.join(' ') || 'no role', ...(lock ? [lock] : [])].join(', '))
}
