import { setTimeout as sleep } from 'node:timers/promises'
import { atLeast, atMost, none, told, type Attack, type Finding } from '../../../../../infra/prove/attack.ts'
import { measureMemory } from '../../../../../infra/prove/deployment/measure-memory.ts'
import { eachOf } from '../../../../../infra/prove/load/each-of.ts'
import {
  cookiesOf,
  newNetwork,
  openCaller,
  passwordOf,
  send,
  signUp,
  type Answer,
  type Caller,
} from '../../../../../infra/prove/load/person.ts'
import { failuresOf, standing, tellFailures, tellStatuses } from '../../../../../infra/prove/load/standing.ts'

const SIGN_IN = '/api/accounts/sign-in'
const FORGOTTEN = '/api/accounts/password/forgotten'
const RESET = '/api/accounts/password/reset'

const GUESSES = 10_000
/** Far more than the limit allows. From then on, every seventh guess is right. */
const ALL_WRONG = 1000
const CONNECTIONS = 20
/** At most 400 guesses a second: it is their number that is tested, not how many refusals a machine can make. */
const PAUSE_MS = 50
/** No user of the row is on these networks. @see RFC 5737, TEST-NET-3 */
const NETWORKS = Array.from({ length: 200 }, (_, n) => `203.0.113.${n}`)

/** From the README of the service: wrong passwords at one account, from everywhere, before the first hour is over. */
const WRONG_ALLOWED = 100
/** An acceptable wait for a user, with two cores for everything. */
const SIGNED_IN_WITHIN_MS = 5000
const SIGN_IN_EVERY_MS = 250
const MOST_GROWTH_MB = 64

interface Browser {
  network: string
  /** Undefined in a browser that has never signed in. */
  cookie?: string
}

interface Credentials {
  email: string
  password: string
}

interface SignIn {
  status: number
  tookMs: number
}

/** Robots guess a password while its owner uses the account: first in a known browser, then in a new one. */
export const guessing: Attack = {
  name: 'guessing',
  does: '10,000 guesses at the password of one account from 200 networks, many of them right; the owner signs in meanwhile',
  claim:
    'after 100 wrong ones even the right ones get 429; the owner signs in within 5 s in a known browser, or in a new one after a reset by mail',
  needs: ['haproxy'],
  async run({ deployment, startLoad, note }) {
    const load = await startLoad({ rate: 20 })
    await using robots = openCaller(deployment.url, CONNECTIONS)
    await using people = openCaller(deployment.url, 4)
    const { email, cookie } = await signUp(people, `owner-${process.pid}-${Date.now()}@prove.example`)
    const neighbour = await signUp(people, `neighbour-${process.pid}-${Date.now()}@prove.example`)
    const owner: Credentials = { email, password: passwordOf(email) }
    const guesses = createGuesses(robots, owner)
    let isOver = false
    const isHalf = (): boolean => isOver || guesses.answers.length >= GUESSES / 2

    async function guessAll(): Promise<number[]> {
      note('guess until the limit')
      await guesses.send(0, ALL_WRONG)
      // Not earlier: the memory for password hashes is in use only now.
      const before = await measureMemory(deployment.inhabited())
      note('guess beyond the limit')
      await guesses.send(ALL_WRONG, GUESSES)
      isOver = true
      return (await measureMemory(deployment.inhabited())).map((bytes, i) => bytes - before[i]!)
    }

    async function actAsOwner() {
      const known = await signInWhile(() => !isHalf(), people, { network: newNetwork(), cookie }, owner)

      note('the owner changes to a new browser')
      const browser: Browser = { network: newNetwork() }
      const stranger = await post(people, SIGN_IN, owner, browser)
      const forgotten = await post(people, FORGOTTEN, { email }, browser)
      // The first mail confirms the email.
      const { links } = await deployment.mail.waitForMail(email, 2)
      const next = `${owner.password}, chosen by mail`
      const reset = await post(people, RESET, { token: links[0]?.split('/').at(-1), next }, browser)
      owner.password = next
      browser.cookie = cookiesOf(reset.headers)
      const changed = await signInWhile(() => !isOver, people, browser, owner)
      return { known, stranger, byMail: [forgotten, reset], changed }
    }

    function actAsNeighbour(): Promise<SignIn[]> {
      const credentials = { email: neighbour.email, password: passwordOf(neighbour.email) }
      return signInWhile(() => !isOver, people, { network: newNetwork() }, credentials)
    }

    const [grown, { known, stranger, byMail, changed }, unattacked] = await Promise.all([
      guessAll(),
      actAsOwner(),
      actAsNeighbour(),
    ])
    const results = await load.stop()
    const { answers } = guesses
    // On a busy machine, 20 at once may be too many: 503 refuses a robot as well.
    const refused = answers.filter(({ status }) => status === 429 || status === 503)
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests of others', failuresOf(results).length),
      atLeast('guesses', answers.length, GUESSES),
      tellStatuses('answers to them', answers),
      atMost('guesses told that they are wrong', countOf(answers, 401), WRONG_ALLOWED),
      atLeast('guesses that were right', guesses.right, 1000),
      none('of them let in', countOf(answers, 200)),
      none('answers other than 200, 401, 429, 503', answers.filter(isUnexpected).length),
      none(
        '429 and 503 without Retry-After',
        refused.filter(({ headers }) => !headers['retry-after']).length,
      ),
      ...judge('of the owner in a known browser', known),
      told('answer to the owner in a new browser', `${stranger.status}`),
      none('answers to the reset by mail other than 204', byMail.length - countOf(byMail, 204)),
      ...judge('of the owner in the new browser, after the reset', changed),
      ...judge('of a user who is not attacked, in an unknown browser', unattacked),
      atMost('MB that the memory of a process grew', Math.round(Math.max(...grown) / 1e6), MOST_GROWTH_MB),
    ]
  },
}

interface Guesses {
  readonly answers: readonly Answer[]
  /** How many were right. */
  readonly right: number
  /** Sends the guesses with these numbers, until one is answered 200: who is in does not guess on. */
  send(from: number, until: number): Promise<void>
}

/** @param owner whose password may change meanwhile: the right guess is the one at the time */
function createGuesses(robots: Caller, owner: Readonly<Credentials>): Guesses {
  const answers: Answer[] = []
  let right = 0
  let isIn = false

  async function guess(n: number): Promise<void> {
    if (isIn) return
    const isRight = n >= ALL_WRONG && n % 7 === 0
    if (isRight) right++
    const credentials = isRight ? owner : { ...owner, password: `password ${n}` }
    const answer = await post(robots, SIGN_IN, credentials, { network: NETWORKS[n % NETWORKS.length]! })
    answers.push(answer)
    isIn ||= answer.status === 200
    await sleep(PAUSE_MS)
  }

  return {
    answers,
    get right() {
      return right
    },
    send: (from, until) =>
      eachOf(
        Array.from({ length: until - from }, (_, n) => from + n),
        CONNECTIONS,
        guess,
      ),
  }
}

function post(caller: Caller, path: string, json: object, { network, cookie }: Browser): Promise<Answer> {
  return send(caller, { method: 'POST', path, json }, network, cookie)
}

/** Signs in again and again with the same browser, which keeps its cookies as they are. */
async function signInWhile(
  goesOn: () => boolean,
  caller: Caller,
  browser: Browser,
  credentials: Credentials,
): Promise<SignIn[]> {
  const signIns: SignIn[] = []
  while (goesOn()) {
    const begunAt = performance.now()
    const { status } = await post(caller, SIGN_IN, credentials, browser)
    signIns.push({ status, tookMs: performance.now() - begunAt })
    await sleep(SIGN_IN_EVERY_MS)
  }
  return signIns
}

function judge(whose: string, signIns: readonly SignIn[]): Finding[] {
  const slowestMs = Math.max(0, ...signIns.map(({ tookMs }) => tookMs))
  return [
    atLeast(`sign-ins ${whose}`, signIns.length, 5),
    none('of them not answered 200', signIns.length - countOf(signIns, 200)),
    atMost('ms that the slowest of them took', Math.round(slowestMs), SIGNED_IN_WITHIN_MS),
  ]
}

function isUnexpected({ status }: Answer): boolean {
  return ![200, 401, 429, 503].includes(status)
}

function countOf(answers: readonly { status: number }[], status: number): number {
  return answers.filter((answer) => answer.status === status).length
}
