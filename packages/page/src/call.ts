/** The messages for answers that have no `detail`. */
const SENTENCES: Record<number, string> = {
  0: 'The server cannot be reached. Is your connection up?',
  401: 'You are not signed in.',
  404: 'This is not there any more.',
  413: 'This is too large.',
  429: 'That was too often. Wait a little, then try again.',
  502: 'The service stopped before it answered. Check whether it was done, then try again.',
  503: 'The service is not available right now. Try again in a moment.',
  504: 'The service took too long to answer.',
}

interface FieldError {
  /** Such as `#/email`. */
  pointer?: string
  detail: string
}

/** An answer that is an error: a problem document, or no answer at all (status 0). @see RFC 9457 */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: FieldError[]

  constructor(status: number, document: { detail?: string; code?: string; errors?: FieldError[] } = {}) {
    super(document.detail ?? SENTENCES[status] ?? `Something went wrong (${status}).`)
    this.status = status
    this.code = document.code ?? ''
    this.errors = document.errors ?? []
  }
}

/** Events for each answer: `answer` with its `x-process` header, if it has one, and `signed-out` for a 401. */
export const answers = new EventTarget()

/**
 * Sends a request to a service. Resolves to the JSON of its answer. A `FormData` is sent as it is, anything else as JSON.
 *
 * @throws Problem
 */
export async function call<T = void>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const isJson = body !== undefined && !(body instanceof FormData)
  const init: RequestInit = { method }
  if (body !== undefined) init.body = isJson ? JSON.stringify(body) : (body as FormData)
  if (isJson) init.headers = { 'content-type': 'application/json' }
  if (signal) init.signal = signal

  const response = await fetch(path, init).catch((error: Error) => {
    throw error.name === 'AbortError' ? error : new Problem(0)
  })
  const process = response.headers.get('x-process')
  if (process) answers.dispatchEvent(new CustomEvent('answer', { detail: process }))

  const isDocument = response.headers.get('content-type')?.includes('json')
  const document = isDocument ? await response.json() : undefined
  if (response.ok) return document
  const problem = new Problem(response.status, document)
  if (problem.status === 401) answers.dispatchEvent(new Event('signed-out'))
  throw problem
}
