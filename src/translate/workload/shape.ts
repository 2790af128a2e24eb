// What is read of a pod that somebody wrote. The API server vouches for it, files do not.
import { listOf, mapOf } from '../fate.ts'
import { read } from '../shapes.ts'

const strings = listOf('string')
const handler = read({ exec: read({ command: strings }) })
const containers = listOf(
  read({
    name: 'string',
    command: strings,
    args: strings,
    env: listOf(read({ name: 'string', value: 'string' })),
    lifecycle: read({ postStart: handler, preStop: handler }),
    ports: listOf(read({ name: 'string', containerPort: 'integer' })),
  }),
)

export const podShape = read({
  metadata: read({ labels: mapOf('string'), annotations: mapOf('string') }),
  spec: read({ serviceAccountName: 'string', hostNetwork: 'boolean', initContainers: containers, containers }),
})
