import { call, formOf, h, type User } from '@repo/page'
import { emailCard } from './mailed-links.ts'

interface Session {
  id: string
  createdAt: string
  lastSeenAt: string
  userAgent: string | null
  current: boolean
}

interface Happening {
  event: string
  at: string
  network: string
  userAgent: string
}

/** The sessions of a user, the email and the password, and the end of the account. */
export function accountView(user: User): HTMLElement {
  const list = h('ul', { className: 'devices', 'aria-label': 'Devices' })
  const history = h('ul', { className: 'devices', 'aria-label': 'What happened' })
  const status = h('p', { className: 'message', role: 'status' })
  const endOthers = h('button', { type: 'button', hidden: true }, 'Sign out everywhere else')
  endOthers.addEventListener('click', () => end('/api/accounts/sessions'))

  async function load(): Promise<void> {
    const { sessions } = await call<{ sessions: Session[] }>('GET', '/api/accounts/sessions')
    list.replaceChildren(...sessions.map(device))
    const { events } = await call<{ events: Happening[] }>('GET', '/api/accounts/me/events')
    history.replaceChildren(...events.map(happening))
    endOthers.hidden = sessions.length < 2
  }

  async function end(path: string): Promise<void> {
    await tell(async () => {
      await call('DELETE', path)
      await load()
    })
  }

  /** Somebody else was signed in there, so they know the password. */
  async function disown(id: string): Promise<void> {
    await end(`/api/accounts/sessions/${encodeURIComponent(id)}`)
    status.textContent ||= 'It is signed out. Choose a new password now: whoever it was knows this one.'
    password.querySelector('input')?.focus()
  }

  async function tell(action: () => Promise<void>): Promise<void> {
    status.textContent = ''
    await action().catch((error: Error) => (status.textContent = error.message))
  }

  function device({ id, userAgent, createdAt, lastSeenAt, current }: Session): HTMLLIElement {
    const name = nameOf(userAgent)
    return h(
      'li',
      {},
      h('strong', {}, name),
      current && h('span', { className: 'badge' }, 'this device'),
      h('p', { className: 'quiet' }, `Signed in ${when(createdAt)}, last seen ${when(lastSeenAt)}`),
      !current &&
        h(
          'button',
          {
            type: 'button',
            className: 'link',
            'aria-label': `Sign out ${name}`,
            onclick: () => end(`/api/accounts/sessions/${encodeURIComponent(id)}`),
          },
          'Sign out',
        ),
      !current &&
        h(
          'button',
          {
            type: 'button',
            className: 'link',
            'aria-label': `${name} is not mine`,
            onclick: () => disown(id),
          },
          'Not me',
        ),
    )
  }

  const password = formOf({
    fields: {
      current: {
        label: 'Your password now',
        type: 'password',
        required: true,
        autocomplete: 'current-password',
      },
      next: { label: 'Your next password', type: 'password', required: true, autocomplete: 'new-password' },
    },
    submit: 'Change password',
    // Tells a password manager which account the password belongs to.
    extra: [
      h('input', { type: 'text', autocomplete: 'username', value: user.email, hidden: true, readOnly: true }),
    ],
    async onSubmit(values, form) {
      await call('PUT', '/api/accounts/password', values)
      form.reset()
      await load()
      return 'Changed. Every other device is signed out.'
    },
  })

  const close = formOf({
    // A thief of an open session must not take the account: what matters asks for the password anew.
    fields: {
      password: {
        label: 'Your password',
        type: 'password',
        required: true,
        autocomplete: 'current-password',
      },
    },
    submit: 'Close my account for good',
    async onSubmit(values) {
      await call('POST', '/api/accounts/prove', values)
      await call('DELETE', '/api/accounts/me')
      location.reload()
    },
  })

  void tell(load)
  return h(
    'section',
    {},
    h('h1', { tabIndex: -1 }, 'My account'),
    h('div', { className: 'card' }, h('h2', {}, 'Devices'), list, endOthers, status),
    // keep: mail
    emailCard(user),
    // /keep
    h('div', { className: 'card' }, h('h2', {}, 'Password'), password),
    h('div', { className: 'card' }, h('h2', {}, 'What happened'), history),
    h('div', { className: 'card' }, h('h2', {}, 'The end'), close),
  )
}

function happening({ event, at, network, userAgent }: Happening): HTMLLIElement {
  const words = event.replaceAll('-', ' ')
  return h(
    'li',
    {},
    h('strong', {}, words[0]!.toUpperCase() + words.slice(1)),
    h('p', { className: 'quiet' }, [when(at), nameOf(userAgent), network].filter(Boolean).join(', ')),
  )
}

/** `Firefox on Linux`, as far as the user agent tells. */
function nameOf(userAgent: string | null): string {
  if (!userAgent) return 'Unknown device'
  const browsers = {
    Edg: 'Edge',
    OPR: 'Opera',
    Firefox: 'Firefox',
    Chrome: 'Chrome',
    Safari: 'Safari',
    curl: 'curl',
  }
  const systems = {
    Android: 'Android',
    iPhone: 'iPhone',
    iPad: 'iPad',
    Windows: 'Windows',
    Mac: 'macOS',
    Linux: 'Linux',
  }
  const named = (names: Record<string, string>): string | undefined =>
    Object.entries(names).find(([mark]) => userAgent.includes(mark))?.[1]
  const browser = named(browsers) ?? userAgent.split('/', 1)[0]
  const system = named(systems)
  return system ? `${browser} on ${system}` : `${browser}`
}

const UNITS = { day: 86_400_000, hour: 3_600_000, minute: 60_000 } as const

function when(time: string): string {
  const agoMs = Date.now() - Date.parse(time)
  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
  for (const unit of ['day', 'hour', 'minute'] as const) {
    if (agoMs >= UNITS[unit]) return relative.format(-Math.floor(agoMs / UNITS[unit]), unit)
  }
  return 'just now'
}
