import { randomBytes } from 'node:crypto'

/**
 * Who may speak to the API server. The list is fixed, since the API server reads its tokens once, at start. Only admin
 * has rights; the others get theirs by RBAC (`grant`, or the manifests under test).
 */
export const users = {
  admin: { username: 'admin', groups: ['system:masters'] },
  /** A person. */
  alice: { username: 'alice', groups: [] },
  /** A controller that writes Istio configuration and knows nothing of sidestep. */
  controller: serviceAccount('kubeflow', 'controller'),
  /** sidestep itself, as its Deployment runs it. */
  sidestep: serviceAccount('sidestep-system', 'sidestep'),
  /** Whoever runs `sidestep audit`, in a pipeline for example. */
  auditor: serviceAccount('default', 'auditor'),
} as const satisfies Record<string, { username: string; groups: string[] }>

export type User = keyof typeof users
export type Tokens = Record<User, string>

export const userNames = Object.keys(users) as User[]

export function newTokens(): Tokens {
  return Object.fromEntries(userNames.map(user => [user, randomBytes(16).toString('hex')])) as Tokens
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file */
export function tokenFile(tokens: Tokens): string {
  return userNames
    .map(user => {
      const { username, groups } = users[user]
      return `${tokens[user]},${username},${user},"${groups.join(',')}"\n`
    })
    .join('')
}

/** In JSON, which is YAML. */
export function kubeconfig(server: string, cert: string, user: User, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user } }],
    clusters: [
      { name: 'test', cluster: { server, 'certificate-authority-data': Buffer.from(cert).toString('base64') } },
    ],
    users: [{ name: user, user: { token } }],
  })
}

function serviceAccount(namespace: string, name: string) {
  return {
    username: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
  }
}
