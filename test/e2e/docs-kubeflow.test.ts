// docs/getting-started-kubeflow.md from its first command to its last: a move to ambient, and back.
import t from 'tap'
import { runInClusters } from '../docs/in-clusters.ts'
import { readPage } from '../docs/pages.ts'

t.test('the move of a Kubeflow goes as the page says', t =>
  runInClusters(t, [[readPage('docs/getting-started-kubeflow.md')]]),
)
