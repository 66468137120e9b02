import { call, formOf, h, type User } from '@repo/page'

/** Sign-in and sign-up. A new user is signed in at once. */
export function signInView(onSignedIn: (user: User) => void, notice = ''): HTMLElement {
  const view = h('section', { className: 'card door' })
  show('sign-in')
  return view

  function show(which: 'sign-in' | 'sign-up'): void {
    const isNew = which === 'sign-up'
    const form = formOf({
      fields: {
        email: { label: 'Email', type: 'email', required: true, autocomplete: 'username' },
        password: {
          label: 'Password',
          type: 'password',
          required: true,
          autocomplete: isNew ? 'new-password' : 'current-password',
        },
      },
      submit: isNew ? 'Sign up' : 'Sign in',
      async onSubmit(values) {
        onSignedIn((await call<{ user: User }>('POST', `/api/accounts/${which}`, values)).user)
      },
    })
    const other = h(
      'button',
      { type: 'button', className: 'link', onclick: () => show(isNew ? 'sign-in' : 'sign-up') },
      isNew ? 'I have an account: sign in' : 'I am new here: sign up',
    )
    view.replaceChildren(
      h('h1', {}, isNew ? 'Sign up' : 'Sign in'),
      h('p', { className: 'quiet' }, notice || 'Whichever process answers, you are you.'),
      form,
      other,
      // keep: mail
      h('a', { href: '#/forgotten', hidden: isNew }, 'I have forgotten my password'),
      // /keep
    )
    notice = ''
    form.querySelector('input')?.focus()
  }
}
