import { call, formOf, h, type OpenPlace, type User } from '@repo/page'

// What works by mail: a card of the account, and the places where mailed links lead.

export const openPlaces: OpenPlace[] = [
  { word: 'forgotten', show: forgottenView },
  { word: 'reset', show: (token = '') => resetView(token) },
  { word: 'confirm', show: (token = '') => confirmView(token) },
]

/** The email of a user, and whether they have confirmed it. */
export function emailCard({ email, emailVerified }: User): HTMLElement {
  const badge = h('span', { className: 'badge' }, emailVerified ? 'confirmed' : 'not confirmed yet')
  const form = formOf({
    fields: {
      email: { label: 'Your email', type: 'email', value: email, required: true, autocomplete: 'email' },
      password: {
        label: 'Your password',
        type: 'password',
        required: true,
        autocomplete: 'current-password',
      },
    },
    submit: 'Send a link to this email',
    async onSubmit({ email, password }) {
      await call('POST', '/api/accounts/prove', { password })
      await call('PUT', '/api/accounts/email', { email })
      return 'Look into that mailbox: the email is yours when you open the link.'
    },
  })
  return h('div', { className: 'card' }, h('h2', {}, 'Email', badge), form)
}

/** Asks for the link with which a forgotten password is replaced. */
function forgottenView(): HTMLElement {
  return card(
    'A new password',
    'You get a link by mail, if there is an account with this email.',
    formOf({
      fields: { email: { label: 'Email', type: 'email', required: true, autocomplete: 'username' } },
      submit: 'Send the link',
      async onSubmit(values) {
        await call('POST', '/api/accounts/password/forgotten', values)
        return 'Look into your mailbox.'
      },
    }),
  )
}

/** Where the link of the mail leads. Only the button uses the link: programs that scan mail open it too. */
function resetView(token: string): HTMLElement {
  const view = card(
    'A new password',
    'It ends all sessions of your account: on every device, you sign in with it.',
    formOf({
      fields: {
        next: { label: 'Your next password', type: 'password', required: true, autocomplete: 'new-password' },
      },
      submit: 'Change password',
      async onSubmit(values) {
        await call('POST', '/api/accounts/password/reset', { token, ...values })
        forgetLink()
        view.replaceChildren(
          ...card('Changed', 'Sign in with your new password.', toStart('Sign in')).children,
        )
      },
    }),
  )
  return view
}

/** As `resetView`: the button confirms the email, not the link. */
function confirmView(token: string): HTMLElement {
  const view = card(
    'Your email',
    'Confirm that this is your email.',
    formOf({
      fields: {},
      submit: 'Confirm',
      async onSubmit() {
        await call('POST', '/api/accounts/email/confirm', { token })
        forgetLink()
        view.replaceChildren(
          ...card('Confirmed', 'This email belongs to your account.', toStart('Go on')).children,
        )
      },
    }),
  )
  return view
}

function card(title: string, sentence: string, ...rest: HTMLElement[]): HTMLElement {
  return h(
    'section',
    { className: 'card door' },
    h('h1', { tabIndex: -1 }, title),
    h('p', { className: 'quiet' }, sentence),
    ...rest,
  )
}

function toStart(name: string): HTMLElement {
  return h('button', { type: 'button', className: 'primary', onclick: () => location.reload() }, name)
}

/** A used link is of no use in the history of the browser. The page is loaded anew: the answer may have ended its session. */
function forgetLink(): void {
  history.replaceState(null, '', '#/')
}
