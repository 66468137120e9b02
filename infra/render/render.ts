import type { Formation } from '../formation.ts'
import { renderCompose } from './compose.ts'
import { renderEnvExample } from './env-example.ts'
import { renderKubernetes } from './kubernetes.ts'
import { renderProcessTypes } from './process-types.ts'
import { renderProcfile } from './procfile.ts'

/** Every file that is derived from the formation, by its path from the root on. */
export async function render(root: string, formation: Formation): Promise<Map<string, string>> {
  return new Map([
    ['Procfile', renderProcfile(formation)],
    ['.env.example', await renderEnvExample(root, formation)],
    ['docs/process-types.md', renderProcessTypes(formation)],
    ['infra/compose.yaml', renderCompose(formation)],
    ...renderKubernetes(formation),
  ])
}
