import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Where this file has been released: the first tag with it, or the branch that others take theirs from. Undefined when it
 * is in neither, or was not even committed. A release is one tag (docs/operations.md).
 */
export async function whereReleased(root: string, file: string): Promise<string | undefined> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: root })).stdout.trim()
  try {
    const commit = await git('log', '--diff-filter=A', '--format=%H', '-1', '--', file)
    if (commit === '') return undefined
    const places = ['refs/tags', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/main']
    const found = await git('for-each-ref', '--contains', commit, '--format=%(refname:short)', ...places)
    return found.split('\n')[0] || undefined
  } catch {
    // No repository, so no release was made from it.
    return undefined
  }
}
