import { cancel, confirm, isCancel } from '@clack/prompts'
import { MigrationError } from '@repo/database/migrate'
import { renameStatement, type ChooseRenames, type Rename } from '@repo/database/write-migration'

/** The answers on the command line, for use without a terminal. */
interface Given {
  /** As `orders.title=name`, or `orders=purchases`. */
  rename: readonly string[]
  /** Nothing is a rename: old columns and tables are dropped. */
  isDrop: boolean
}

/**
 * Chooses the renames from the command line, or asks the user.
 *
 * @throws {MigrationError} when nothing was given and there is no terminal, because dropping a column loses its data; or
 * when a rename that was given is not possible
 */
export function renamesBy({ rename, isDrop }: Given): ChooseRenames {
  return async (likely) => {
    const unknown = rename.filter((words) => !likely.some((one) => name(one) === words))
    if (unknown.length > 0)
      throw new MigrationError(`There is no ${unknown.join(', ')} here. There may be:\n${list(likely)}`)
    const chosen = likely.filter((one) => rename.includes(name(one)))
    if (isDrop || chosen.length > 0) return chosen
    if (!isTerminal()) {
      throw new MigrationError(
        `This drops, and adds the like. Nothing was written: say which of these it is,\n${list(likely)}\n` +
          'or that what is dropped may be lost:\n  --drop',
      )
    }
    for (const one of likely) {
      const isTaken = chosen.some(
        ({ table, from, to }) => table === one.table && (from === one.from || to === one.to),
      )
      if (!isTaken && (await answerTo(`Is it a rename? ${renameStatement(one)}`))) chosen.push(one)
    }
    return chosen
  }
}

/** Asks before data is lost, unless `isSure`. @throws {MigrationError} when the answer is no, or there is no terminal */
export async function assertSure(isSure: boolean, what: string): Promise<void> {
  if (isSure) return
  if (!isTerminal()) throw new MigrationError(`${what}\nNothing was changed. To confirm: --yes`)
  if (!(await answerTo(`${what} Go on?`))) throw new MigrationError('Nothing was changed.')
}

function name({ table, from, to }: Rename): string {
  return `${table === undefined ? '' : `${table}.`}${from}=${to}`
}

function list(likely: Rename[]): string {
  return likely.map((one) => `  --rename ${name(one)}`).join('\n')
}

function isTerminal(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY
}

async function answerTo(message: string): Promise<boolean> {
  const answer = await confirm({ message, initialValue: false })
  if (!isCancel(answer)) return answer
  cancel('Nothing was changed.')
  process.exit(130)
}
