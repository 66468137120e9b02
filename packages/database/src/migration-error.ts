/** Something a person has to do something about. Its message says what. */
export class MigrationError extends Error {
  override name = 'MigrationError'
}
