/** One step of a change, done by one rename. Paths are relative to the root of the repository, with slashes. */
export type Step =
  /** Makes a new folder, with its files and its symbolic links. */
  | { make: string; files: ReadonlyMap<string, string>; links: ReadonlyMap<string, string> }
  /** Writes a file. Its content was `before`; undefined when it is new. */
  | { write: string; content: string; before: string | undefined }
  /** Removes a file or a folder. */
  | { remove: string }

/** The steps of a command. All of them are done, or none. */
export interface Change {
  /** In the order in which they are done. */
  steps: Step[]
  /** What the user should know, one sentence each. */
  notes: string[]
  /** SQL that drops what the migrations of a removed app have made in a database. */
  leavings?: string
}

export function pathOf(step: Step): string {
  return 'make' in step ? step.make : 'write' in step ? step.write : step.remove
}

/** Whether the path is one of these, or is in one of these folders. */
export function isWithin(path: string, paths: readonly string[]): boolean {
  return paths.some((other) => path === other || path.startsWith(`${other}/`))
}

/** The command cannot be done. The message says why, and what to do instead. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}
