/** A reason to give an import up, in words for the person who started it: trying again would not help. */
export class ImportProblem extends Error {
  override readonly name = 'ImportProblem'
}
