/** One thing that is done to the tree, by one rename. Paths go from the root of the repository on, with slashes. */
export type Step =
  /** A folder that is not there yet, with its files and its symbolic links. */
  | { make: string; files: ReadonlyMap<string, string>; links: ReadonlyMap<string, string> }
  /** A file, new or in the place of what it was `before`. */
  | { write: string; content: string; before: string | undefined }
  /** A file or a folder that goes. */
  | { remove: string }

/** What a command is going to do: all of it, or nothing. */
export interface Change {
  /** In the order in which they are done. */
  steps: Step[]
  /** What a person should know, a sentence each. */
  notes: string[]
  /** SQL that takes from a database what migrations have made there that are no more. */
  leavings?: string
}

export function pathOf(step: Step): string {
  return 'make' in step ? step.make : 'write' in step ? step.write : step.remove
}

/** A request that cannot be met. Its message says why, and what to ask for instead. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}
