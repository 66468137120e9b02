import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expectAnswer, runBackingService, type BackingService } from '../backing-service.ts'
import { openTemporaryFolder } from '../open-temporary-folder.ts'
import { freePort, isListening } from '../ports.ts'
import { findProgram } from '../programs.ts'
import { spawnTethered } from '../spawn-tethered.ts'

export interface AiosmtpdOptions {
  /** Files of a key and a certificate. With `startTls` a client must use STARTTLS; with `tls` a connection begins with TLS. */
  certificate?: { kind: 'startTls' | 'tls'; key: string; cert: string }
}

export interface Aiosmtpd extends BackingService {
  readonly port: number
  /** The mails that it has taken, as they arrived, in no order. */
  mails(): Promise<string[]>
}

/** Starts a real mail server on loopback, which keeps mails in a Maildir. Undefined if aiosmtpd is not installed. */
export async function startAiosmtpd({ certificate }: AiosmtpdOptions = {}): Promise<Aiosmtpd | undefined> {
  const program = findProgram('aiosmtpd')
  if (!program) return undefined
  await using opening = new AsyncDisposableStack()
  const { path } = opening.use(await openTemporaryFolder('aiosmtpd'))
  const box = join(path, 'box')
  const port = await freePort()
  const option = certificate?.kind === 'tls' ? 'smtps' : 'tls'
  const tls = certificate ? [`--${option}cert`, certificate.cert, `--${option}key`, certificate.key] : []
  const args = ['-n', '-l', `127.0.0.1:${port}`, ...tls, '-c', 'aiosmtpd.handlers.Mailbox', box]

  const service = await runBackingService({
    url: `smtp${certificate?.kind === 'tls' ? 's' : ''}://127.0.0.1:${port}`,
    launch: () => spawnTethered(program, args, { env: { PATH: process.env.PATH } }),
    check: async () => {
      if (certificate?.kind !== 'tls') return void (await expectAnswer(port, 'NOOP', /^220 /))
      // The greeting comes only after a handshake.
      if (!(await isListening(`smtps://127.0.0.1:${port}`))) throw new Error('it does not listen')
    },
    resources: opening.move(),
  })
  return Object.assign(service, {
    port,
    async mails() {
      const names = await readdir(join(box, 'new'))
      return Promise.all(names.map((name) => readFile(join(box, 'new', name), 'utf8')))
    },
  })
}
