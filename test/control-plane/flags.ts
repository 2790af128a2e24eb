import { join } from 'node:path'

export interface Ports {
  apiServer: number
  etcd: number
  etcdPeer: number
}

export function etcdFlags(directory: string, ports: Ports): string[] {
  const clientUrl = `http://127.0.0.1:${ports.etcd}`
  const peerUrl = `http://127.0.0.1:${ports.etcdPeer}`
  return [
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync', // The data lives as long as the test.
    '--log-level=warn',
  ]
}

export function apiServerFlags(directory: string, ports: Ports): string[] {
  const [key, certificate] = [join(directory, 'server.key'), join(directory, 'server.crt')]
  return [
    `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${ports.apiServer}`,
    `--tls-cert-file=${certificate}`,
    `--tls-private-key-file=${key}`,
    `--token-auth-file=${join(directory, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    // It would hold back every pod until a controller has made its namespace a ServiceAccount.
    '--disable-admission-plugins=ServiceAccount',
    // Required, though nobody here uses a ServiceAccount's token.
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${certificate}`,
    `--service-account-signing-key-file=${key}`,
    '--service-cluster-ip-range=10.0.0.0/16',
    // The endpoints of Service kubernetes may not be on 127.0.0.1, and trying would fill the log.
    '--endpoint-reconciler-type=none',
  ]
}

/** Of those that make pods, the ones of Deployments and StatefulSets: tests that write pods themselves do without. */
const workloadControllers = ['deployment-controller', 'replicaset-controller', 'statefulset-controller']

export function controllerManagerFlags(
  directory: string,
  port: number,
  { kubeconfig, hasWorkloads }: { kubeconfig: string; hasWorkloads: boolean },
): string[] {
  // What a test needs and no more. The ServiceAccount controller is absent, since nothing here runs in a pod.
  const controllers = [
    ...['garbage-collector-controller', 'namespace-controller', 'clusterrole-aggregation-controller'],
    ...(hasWorkloads ? workloadControllers : []),
  ]
  return [
    `--kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    // As kubeadm has it: each controller has its own ServiceAccount, and no more rights than in a cluster.
    '--use-service-account-credentials',
    `--controllers=${controllers.join(',')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${join(directory, 'server.crt')}`,
    `--tls-private-key-file=${join(directory, 'server.key')}`,
  ]
}
