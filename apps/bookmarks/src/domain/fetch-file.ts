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
 * A file has 20 s, and a second more for each 16 KiB that came: who sends a byte now and then is not waited for to the end.
 * @see https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html, whose MinRate this is
 */
const graceMs = 20_000
const minBytesPerSecond = 16 * 1024

/** What {@link fetchFile} needs to know; the times are for tests to shorten. */
export interface FetchLimits {
  maxBytes: number
  isAllowedAddress: AddressCheck
  idleTimeoutMs?: number
  totalTimeoutMs?: number
  graceMs?: number
}

/**
 * Fetches a file from an address that a stranger gave. It connects to the very IP address that was checked (a name is resolved
 * once, so it cannot point elsewhere a moment later), checks every redirect again, and counts bytes after decompression, so
 * that a small answer cannot become a large file.
 *
 * @throws ImportProblem in words for that stranger, which tell nothing about the network that we stand in; what is wrong with
 *   that network itself, as it is.
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
    // Not awaited and not close(): whoever stops reading early is done with the connection.
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

/** Names are checked when they are resolved; an IP address never is, so it is checked here. */
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

/** The same words for a name that is unknown and for one that is known only inside our network. */
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

/** What says nothing about the address: our resolver has no answer, or there is no way out of here. It will be tried again. */
function isOurNetwork(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // A name with several IP addresses: each has failed for a reason of its own.
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
