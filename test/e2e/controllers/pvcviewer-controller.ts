// Kubeflow's pvcviewer-controller. Keeps the behaviour of kubeflow/notebooks (branch notebooks-v1),
// components/pvcviewer-controller/controllers/pvcviewer_controller.go (reconcileDeployment, reconcileService,
// reconcileVirtualService): it compares nothing, and PUTs all three at every reconcile, with the spec that it wants and the
// metadata that it found. It owns, and so watches, all three: whatever is stored brings it back at once.
import { keep, type Replacement } from './keep.ts'
import { isServed, type Owner } from './owner.ts'
import type { Send } from './send.ts'

/** With `basePrefix` and `rewrite` as the volumes web app sets them, and no timeout. */
export interface PVCViewer {
  namespace: string
  name: string
  owner: Owner
}

/** One Reconcile. Returns what it has written, as `verb kind`. */
export async function reconcilePVCViewer(send: Send, viewer: PVCViewer): Promise<string[]> {
  if (!(await isServed(send, viewer.owner))) return []
  return [
    ...(await keep(send, deploymentOf(viewer), withItsFields)),
    ...(await keep(send, serviceOf(viewer), withItsFields)),
    ...(await keep(send, virtualServiceOf(viewer), withSpec)),
  ]
}

/** The fields of the spec that it sets, over those that it found. */
const withItsFields: Replacement = (stored, { spec }) => ({ ...stored, spec: { ...stored.spec, ...spec } })
const withSpec: Replacement = (stored, { spec }) => ({ ...stored, spec })

function labelsOf({ name }: PVCViewer) {
  return {
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/instance': `pvcviewer-${name}`,
    'app.kubernetes.io/part-of': 'pvc-viewer',
  }
}

/** The labels are set when it is created, and never again. */
function metadataOf(viewer: PVCViewer) {
  const { namespace, name, owner } = viewer
  return { name: `pvcviewer-${name}`, namespace, labels: labelsOf(viewer), ownerReferences: [owner.reference] }
}

function deploymentOf(viewer: PVCViewer) {
  const labels = labelsOf(viewer)
  const container = {
    name: 'main',
    image: 'filebrowser/filebrowser:v2.25.0',
    ports: [{ containerPort: 8080, protocol: 'TCP' }],
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf(viewer),
    spec: {
      selector: { matchLabels: labels },
      strategy: { type: 'Recreate' },
      template: { metadata: { labels }, spec: { serviceAccountName: 'default-editor', containers: [container] } },
    },
  }
}

function serviceOf(viewer: PVCViewer) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(viewer),
    spec: {
      type: 'ClusterIP',
      selector: labelsOf(viewer),
      ports: [{ name: 'http', port: 80, targetPort: 8080 }],
    },
  }
}

function virtualServiceOf(viewer: PVCViewer) {
  const { namespace, name } = viewer
  const host = `pvcviewer-${name}.${namespace}.svc.cluster.local`
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'VirtualService',
    metadata: metadataOf(viewer),
    spec: {
      gateways: ['kubeflow/kubeflow-gateway'],
      hosts: ['*'],
      http: [
        {
          match: [{ uri: { prefix: `/pvcviewers/${namespace}/${name}/` } }],
          rewrite: { uri: '/' },
          route: [{ destination: { host, port: { number: 80 } } }],
          // A nil pointer of Go, sent as it is.
          timeout: null,
        },
      ],
    },
  }
}
