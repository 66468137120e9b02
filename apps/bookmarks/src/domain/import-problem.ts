/** Ends an import, with a message for its user. A retry would not help. */
export class ImportProblem extends Error {
  override readonly name = 'ImportProblem'
}
