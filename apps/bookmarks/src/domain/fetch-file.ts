import { lookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import { Agent, fetch, type Response } from 'undici'
import { ImportProblem } from './import-problem.ts'
import type { AddressCheck } from './public-address.ts'

const maxRedirects = 5
const connectTimeoutMs = 5000
const idleTimeoutMs = 10_000
const totalTimeoutMs = 5 * 60_000

/**
 * A download may take 20 s, and one second more for each 16 KiB received, so a server that sends few bytes is given up
 * early.
 * @see https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html, whose MinRate this is
 */
const graceMs = 20_000
const minBytesPerSecond = 16 * 1024

/** The limits of {@link fetchFile}. Tests shorten the times. */
export interface FetchLimits {
  maxBytes: number
  isAllowedAddress: AddressCheck
  idleTimeoutMs?: number
  totalTimeoutMs?: number
  graceMs?: number
}

/**
 * Fetches a file from a URL that a user gave. It connects to the same IP address that was checked: a name is resolved once,
 * so it cannot lead elsewhere a moment later. It checks every redirect again, and counts bytes after decompression, so that
 * a small answer cannot become a large file.
 *
 * @throws ImportProblem with a message for the user, which tells nothing about our network. An error of our own network is
 *   thrown as it is.
 */
export async function* fetchFile(
  url: string,
  limits: FetchLimits,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const begunAt = performance.now()
  const deadline = new AbortController()
  let bytes = 0
  let timer: NodeJS.Timeout | undefined
  function extendDeadline(): void {
    const earnedMs = (limits.graceMs ?? graceMs) + (bytes / minBytesPerSecond) * 1000
    const allowedMs = Math.min(earnedMs, limits.totalTimeoutMs ?? totalTimeoutMs)
    clearTimeout(timer)
    timer = setTimeout(() => deadline.abort(), begunAt + allowedMs - performance.now())
  }
  extendDeadline()
  const agent = openAgent(limits)
  try {
    const response = await followRedirects(new URL(url), limits, {
      dispatcher: agent,
      redirect: 'manual',
      signal: AbortSignal.any([signal, deadline.signal]),
      headers: { accept: 'text/html', 'user-agent': 'nonstick-bookmarks' },
    })
    if (!response.ok) throw new ImportProblem(`The server answered with status ${response.status}.`)

    const tooLarge = new ImportProblem(`The file is larger than ${limits.maxBytes} bytes.`)
    if (Number(response.headers.get('content-length')) > limits.maxBytes) throw tooLarge
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength
      if (bytes > limits.maxBytes) throw tooLarge
      extendDeadline()
      yield chunk
    }
  } catch (error) {
    signal.throwIfAborted()
    throw deadline.signal.aborted
      ? new ImportProblem('The server took too long to send the file.')
      : explain(error)
  } finally {
    clearTimeout(timer)
    // Not awaited and not close(): a caller that stops early does not need the connection any more.
    agent.destroy().catch(() => {})
  }
}

async function followRedirects(
  start: URL,
  { isAllowedAddress }: FetchLimits,
  options: Parameters<typeof fetch>[1],
): Promise<Response> {
  let url = start
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    checkUrl(url, isAllowedAddress)
    const response = await fetch(url, options)
    const location = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null
    if (location === null) return response

    await response.body?.cancel()
    const next = URL.parse(location, url)
    if (!next) throw new ImportProblem('The server redirects to an address that is none.')
    url = next
  }
  throw new ImportProblem(`The server redirects more than ${maxRedirects} times.`)
}

/** Names are checked when they are resolved. An IP address is not resolved, so it is checked here. */
function checkUrl(url: URL, isAllowedAddress: AddressCheck): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ImportProblem('The address leads to something that is not http or https.')
  }
  if (url.username !== '' || url.password !== '') {
    throw new ImportProblem('An address with a user name or password in it is not fetched.')
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) && !isAllowedAddress(host)) throw notFound()
}

function openAgent({ isAllowedAddress, idleTimeoutMs: idleMs = idleTimeoutMs }: FetchLimits): Agent {
  return new Agent({
    connect: {
      timeout: connectTimeoutMs,
      lookup(hostname: string, options: LookupOptions, done: LookupDone) {
        lookup(hostname, { ...options, all: true }, (error, addresses) => {
          const allowed = (addresses ?? []).filter(({ address }) => isAllowedAddress(address))
          const [first] = allowed
          if (error || !first) done(error ?? notFound(), [])
          else if (options.all) done(null, allowed)
          else done(null, first.address, first.family)
        })
      },
    },
    headersTimeout: idleMs,
    bodyTimeout: idleMs,
  })
}

type LookupDone = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/** The same message for an unknown name and for a name that exists only inside our network. */
function notFound(): ImportProblem {
  return new ImportProblem('The server was not found on the public internet.')
}

function explain(error: unknown): unknown {
  if (isOurNetwork(error)) return error
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ImportProblem) return cause
    const code = 'code' in cause ? String(cause.code) : ''
    if (code === 'ENOTFOUND') return notFound()
    if (code.startsWith('UND_ERR_') && code.endsWith('_TIMEOUT')) {
      return new ImportProblem('The server took too long to answer.')
    }
  }
  return new ImportProblem('The file could not be fetched: the connection failed.')
}

/** Whether the error is ours, not that of the URL: no answer from our resolver, no way out. The job is then tried again. */
function isOurNetwork(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // A name with several IP addresses: each of them failed with an error of its own.
  if (error instanceof AggregateError) return error.errors.every(isOurNetwork)
  return ('code' in error && ourCodes.has(String(error.code))) || isOurNetwork(error.cause)
}

const ourCodes = new Set([
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_MEMORY',
  'EAI_SYSTEM',
  'EMFILE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
])
