// The way of a namespace from sidecars to ambient, in the steps at which a person can stop. The order is that of
// docs/policies.md; whoever knows how far each step is (src/audit/migration.ts) and whoever carries it out
// (src/reconciler/migrate.ts) mean the same by these names.
import type { Restart } from './restarts.ts'

/** In their order; a name is API: `--until` takes it. */
export const migrationSteps = ['prepare', 'capture', 'restart', 'enrol', 'routes', 'verify'] as const
export type MigrationStep = (typeof migrationSteps)[number]

/** How far a namespace is. */
export interface Outlook {
  namespace: string
  steps: Record<MigrationStep, Progress>
  /** What has to be restarted so that no pod has a sidecar. */
  restarts: Restart[]
  /** What is refused, so that it cannot go over. */
  denials: string[]
  /** What sidestep itself says that it waits for. Asked for when somebody wants to know, since it takes as long as an audit. */
  pending(): string[]
}

export interface Progress {
  isDone: boolean
  /** What is left to be done, or waited for. */
  left: string[]
}
