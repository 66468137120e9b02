import { Problem } from './call.ts'
import { h } from './element.ts'

interface Field {
  label: string
  type?: 'text' | 'email' | 'password' | 'url' | 'file'
  value?: string
  hint?: string
  required?: boolean
  autocomplete?: AutoFill
  minLength?: number
  accept?: string
}

interface FormOptions<Name extends string> {
  fields: Record<Name, Field>
  submit: string
  /** Its errors are shown: field errors of a problem beside their fields, all others below the button. So is its result. */
  onSubmit(values: Record<Name, string>, form: HTMLFormElement): Promise<string | void>
  className?: string
  extra?: HTMLElement[]
}

// share-nothing: it runs in a browser, where one page has it for itself
let lastId = 0

/** A form whose button is disabled while it is being sent. It shows the result. */
export function formOf<Name extends string>(options: FormOptions<Name>): HTMLFormElement {
  const { fields, submit, onSubmit, className = '', extra = [] } = options
  const rows = Object.entries<Field>(fields).map(([name, field]) => row(name, field))
  const button = h('button', { type: 'submit', className: 'primary' }, submit)
  const message = h('p', { className: 'message', role: 'status' })
  const form = h(
    'form',
    { className: `form ${className}`, noValidate: true },
    ...rows.map(({ element }) => element),
    h('div', { className: 'actions' }, button, ...extra),
    message,
  )

  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const values = Object.fromEntries(rows.map(({ name, input }) => [name, input.value])) as Record<
      Name,
      string
    >
    for (const { complain } of rows) complain('')
    say('')
    const invalid = rows.filter(({ input, complain }) => {
      complain(input.validationMessage)
      return !input.validity.valid
    })
    if (invalid[0]) return invalid[0].input.focus()

    button.disabled = true
    try {
      say((await onSubmit(values, form)) ?? '')
    } catch (error) {
      say(showErrors(error as Error), true)
    } finally {
      button.disabled = false
    }
  })

  function say(sentence: string, isError = false): void {
    message.textContent = sentence
    message.classList.toggle('error', isError)
  }

  /** Shows the errors of fields beside them. Returns the message that is left. */
  function showErrors(error: Error): string {
    const complaints = error instanceof Problem ? error.errors : []
    const placed = complaints.map(({ pointer, detail }) => {
      const found = rows.find(({ name }) => `${pointer}/`.startsWith(`#/${name}/`))
      found?.complain(detail)
      return found
    })
    placed.find(Boolean)?.input.focus()
    return placed.length > 0 && placed.every(Boolean) ? '' : error.message
  }

  return form
}

function row(
  name: string,
  field: Field,
): {
  name: string
  input: HTMLInputElement
  element: HTMLElement
  complain(sentence: string): void
} {
  const { label, hint, ...props } = field
  const id = `field-${++lastId}`
  const input = h('input', { id, name, type: 'text', 'aria-describedby': `${id}-note`, ...props })
  const note = h('span', { id: `${id}-note`, className: 'note' }, hint)

  function complain(sentence: string): void {
    note.textContent = sentence || (hint ?? '')
    note.classList.toggle('error', sentence !== '')
    input.setAttribute('aria-invalid', String(sentence !== ''))
  }

  const element = h('div', { className: 'field' }, h('label', { htmlFor: id }, label), input, note)
  return { name, input, element, complain }
}
