import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { atLeast, atMost, none, type Attack } from '../attack.ts'
import { openDeployment } from '../deployment/open-deployment.ts'
import { eachOf } from '../load/each-of.ts'
import { newNetwork, sendSignIn, sendSignUp, signUp, type Answer } from '../load/person.ts'
import { failuresOf, standing, tellFailures, tellStatuses } from '../load/standing.ts'

/** More than the password hashes that all processes together allow to wait. */
const CONNECTIONS = 300
/** An acceptable wait for a user, with two cores for everything. A refusal would come at once. */
const SIGNED_IN_WITHIN_MS = 5000
/** From the README of the service: accounts that one network may create per hour. */
const SIGN_UPS_AN_HOUR = 60

/** One network sends sign-ups and sign-ins over hundreds of connections, and others sign in meanwhile. */
export const flood: Attack = {
  name: 'flood',
  does: 'one network floods sign-up, then sign-in, over 300 connections; other users sign in meanwhile',
  claim:
    'all other users are signed in within 5 s; the network gets 429 or 503 with `Retry-After`, and 60 accounts an hour from all processes together',
  needs: ['haproxy'],
  // A deployment of its own: the limits remember the network for an hour.
  open: async (options, resources) => resources.use(await openDeployment(options)),
  async run({ deployment, startLoad, scale, note }) {
    const load = await startLoad({ rate: 20 })
    await using resources = new AsyncDisposableStack()
    const dispatcher = new Agent({ connections: CONNECTIONS })
    resources.defer(() => dispatcher.destroy())
    const others = resources.adopt(new Agent(), (agent) => agent.destroy())
    const caller = { url: deployment.url, dispatcher: others }
    const emails = Array.from({ length: 12 }, (_, n) => `other-${n}-${process.pid}@prove.example`)
    for (const email of emails) await signUp(caller, email)

    const network = newNetwork()
    const flooder = { url: deployment.url, dispatcher }
    const floodMs = scale(4, 8) * 1000
    const signIns: { status: number; tookMs: number }[] = []

    async function floodWith(send: typeof sendSignUp): Promise<Answer[]> {
      const answers: Answer[] = []
      const until = performance.now() + floodMs
      let sent = 0
      const flooding = Promise.all(
        Array.from({ length: CONNECTIONS }, async () => {
          while (performance.now() < until) {
            const email = `flood-${(sent += 1)}-${process.pid}@prove.example`
            answers.push(await send(flooder, email, network))
            // Thousands of cheap refusals a second would be another attack.
            await sleep(200)
          }
        }),
      )
      await Promise.all([flooding, signInOthers(until)])
      return answers
    }

    async function signInOthers(until: number): Promise<void> {
      await sleep(500)
      while (performance.now() < until) await eachOf(emails, 3, signInAsOther)
    }

    async function signInAsOther(email: string): Promise<void> {
      const begunAt = performance.now()
      const { status } = await sendSignIn(caller, email, newNetwork())
      signIns.push({ status, tookMs: performance.now() - begunAt })
    }

    note('flood sign-up')
    const signUps = await floodWith(sendSignUp)
    note('flood sign-in')
    const guesses = await floodWith(sendSignIn)
    const results = await load.stop()
    const refused = [...signUps, ...guesses].filter(({ status }) => status === 429 || status === 503)
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests of users who were signed in', failuresOf(results).length),
      tellStatuses('sign-ups of the flood', signUps),
      tellStatuses('sign-ins of the flood', guesses),
      atLeast('of them refused', refused.length, CONNECTIONS),
      none('refused without Retry-After', refused.filter(({ headers }) => !headers['retry-after']).length),
      atMost('accounts of the flood', countOf(signUps, 201), SIGN_UPS_AN_HOUR),
      atLeast('sign-ins of others', signIns.length, 12),
      none('of them not answered 200', signIns.filter(({ status }) => status !== 200).length),
      atMost(
        'ms that the slowest of them took',
        Math.round(Math.max(...signIns.map(({ tookMs }) => tookMs))),
        SIGNED_IN_WITHIN_MS,
      ),
    ]
  },
}

function countOf(answers: readonly Answer[], status: number): number {
  return answers.filter((answer) => answer.status === status).length
}
