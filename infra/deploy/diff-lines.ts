/**
 * What to do to `before` so that it becomes `after`, as a unified diff with every line of context left out.
 * Both are short, so the plain table of longest common subsequences will do.
 */
export function diffLines(file: string, before: string, after: string): string {
  const [a, b] = [before.split('\n'), after.split('\n')]
  const shared = a.map(() => new Uint32Array(b.length + 1))
  shared.push(new Uint32Array(b.length + 1))
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      shared[i]![j] =
        a[i] === b[j] ? shared[i + 1]![j + 1]! + 1 : Math.max(shared[i + 1]![j]!, shared[i]![j + 1]!)
    }
  }

  const lines = [`--- ${file}`, `+++ ${file}, as rendered`]
  let [i, j] = [0, 0]
  let isInside = false
  while (i < a.length || j < b.length) {
    const isSame = i < a.length && j < b.length && a[i] === b[j]
    if (!isSame && !isInside) lines.push(`@@ -${i + 1} +${j + 1} @@`)
    isInside = !isSame
    if (isSame) [i, j] = [i + 1, j + 1]
    else if (j < b.length && (i === a.length || shared[i]![j + 1]! > shared[i + 1]![j]!)) {
      lines.push(`+${b[j++]}`)
    } else lines.push(`-${a[i++]}`)
  }
  return lines.join('\n')
}
