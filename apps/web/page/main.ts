import { answers, call, h, Problem, type Place, type User } from '@repo/page'
import { openPlaces, places } from './places.ts'
import { processesStrip } from './processes.ts'
import { signInView } from './sign-in.ts'

const header = h('header')
const main = h('main')
let user: User | null = null

/** Shows the place of the URL, or the sign-in form when it needs a user and none is signed in. */
function show(notice?: string): void {
  const [, word = '', rest] = location.hash.split('/')
  const open = openPlaces.find((place) => place.word === word)
  if (!open && !user) return showDoor(notice)
  const place = places.find((place) => place.word === word) ?? places[0]!
  main.replaceChildren(open ? open.show(rest) : place.show(user!, rest))
  showHeader(open ? undefined : place)
}

function showHeader(here?: Place): void {
  const links = places.map((place) =>
    h('a', { href: `#/${place.word}`, ...(place === here && { 'aria-current': 'page' }) }, place.name),
  )
  header.replaceChildren(
    h('a', { href: '#/', className: 'brand' }, 'Nonstick'),
    ...(user
      ? [
          h('nav', { 'aria-label': 'Places' }, ...links),
          h('span', { className: 'quiet who' }, user.email),
          h('button', { type: 'button', className: 'link', onclick: signOut }, 'Sign out'),
        ]
      : []),
  )
}

function showDoor(notice?: string): void {
  user = null
  showHeader()
  main.replaceChildren(signInView(enter, notice))
  main.querySelector('input')?.focus()
}

function enter(next: User): void {
  user = next
  show()
  main.querySelector('h1')?.focus()
}

async function signOut(): Promise<void> {
  try {
    await call('POST', '/api/accounts/sign-out')
    history.replaceState(null, '', '#/')
    showDoor('You are signed out.')
  } catch (error) {
    // The user is still signed in, and the page must not look as if they were not.
    header.append(h('p', { className: 'error', role: 'alert' }, (error as Problem).message))
  }
}

async function start(): Promise<void> {
  try {
    enter((await call<{ user: User }>('GET', '/api/accounts/me')).user)
  } catch (error) {
    show(error instanceof Problem && error.status !== 401 ? error.message : undefined)
  }
}

answers.addEventListener('signed-out', () => {
  if (user) showDoor('You have been signed out. Sign in to go on.')
})
addEventListener('hashchange', () => {
  show()
  main.querySelector('h1')?.focus()
})
document.body.append(header, main, processesStrip())
void start()
