import { execFile } from 'node:child_process'

/** Runs a command of this repository as a user does. Never rejects: a failure is in `code`. */
export async function runCommand(
  file: string,
  args: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<{ code: number; out: string; err: string }> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], { env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })
}
