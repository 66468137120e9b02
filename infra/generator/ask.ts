import { cancel, intro, isCancel, multiselect, select, text } from '@clack/prompts'
import { checkName, takenNames } from './names.ts'
import type { Wish } from './plan-service.ts'
import { capabilities, kinds, type Kind } from './template.ts'

/** The form of `pnpm new`. Ctrl-C ends the command with exit code 130, and nothing is changed. */
export async function ask(root: string, given?: string): Promise<Wish> {
  const taken = takenNames(root)
  intro('A new service')
  const name =
    given ??
    (await answerTo(
      text({
        message: 'What is it called?',
        placeholder: 'orders',
        validate(value) {
          const problem = checkName(value ?? '', taken)
          return (
            problem && `${problem.reason}${problem.suggestion ? ` What about ${problem.suggestion}?` : ''}`
          )
        },
      }),
    ))
  const kind = await answerTo(
    select<Kind>({
      message: 'What does it do?',
      options: [...kinds].map(([value, hint]) => ({ value, hint })),
    }),
  )
  const wanted =
    kind === 'package'
      ? []
      : await answerTo(
          multiselect({
            message: 'What does it need? Space chooses, Enter goes on.',
            required: false,
            options: [...capabilities]
              .filter(([value]) => kind !== 'worker' || value !== 'session')
              .map(([value, hint]) => ({ value, hint })),
          }),
        )
  return { name, kind, with: wanted }
}

/** The answer. After Ctrl-C it prints that nothing was changed, and ends the command with exit code 130. */
export async function answerTo<T>(question: Promise<T>): Promise<Exclude<T, symbol>> {
  const answer = await question
  if (!isCancel(answer)) return answer as Exclude<T, symbol>
  cancel('Nothing was changed.')
  process.exit(130)
}
