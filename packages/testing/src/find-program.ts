import { existsSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'

/** Where this machine has one of these programs: the first name it has, along PATH. A path stands for itself. */
export function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return names
    .flatMap((name) => folders.map((folder) => resolve(folder, name)))
    .find((path) => existsSync(path))
}

/** What Debian, others and Google call the browser that they bring. */
export const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'] as const
