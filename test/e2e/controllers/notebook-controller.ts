// Kubeflow's notebook-controller. Keeps the behaviour of kubeflow/notebooks (branch notebooks-v1),
// components/notebook-controller/controllers/notebook_controller.go (Reconcile, generateStatefulSet, generateService,
// generateVirtualService), with USE_ISTIO=true. It owns, and so watches, all three.
import { keep } from './keep.ts'
import { isServed, type Owner } from './owner.ts'
import { serviceReplacement, statefulSetReplacement, virtualServiceReplacement } from './reconcilehelper.ts'
import type { Send } from './send.ts'

export interface Notebook {
  namespace: string
  name: string
  owner: Owner
  /** Annotation notebooks.kubeflow.org/http-rewrite-uri, which RStudio and code-server have. */
  rewrite?: string
  /** Annotation notebooks.kubeflow.org/http-headers-request-set. */
  headers?: Record<string, string>
}

/** One Reconcile. Returns what it has written, as `verb kind`. */
export async function reconcileNotebook(send: Send, notebook: Notebook): Promise<string[]> {
  if (!(await isServed(send, notebook.owner))) return []
  return [
    ...(await keep(send, statefulSetOf(notebook), statefulSetReplacement)),
    ...(await keep(send, serviceOf(notebook), serviceReplacement)),
    ...(await keep(send, virtualServiceOf(notebook), virtualServiceReplacement)),
  ]
}

function metadataOf({ namespace, name, owner }: Notebook, itsName = name) {
  return { name: itsName, namespace, ownerReferences: [owner.reference] }
}

function statefulSetOf(notebook: Notebook) {
  const { name } = notebook
  const container = {
    name,
    image: 'ghcr.io/kubeflow/kubeflow/notebook-servers/jupyter-scipy:v1.10.0',
    ports: [{ containerPort: 8888, name: 'notebook-port', protocol: 'TCP' }],
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: metadataOf(notebook),
    spec: {
      replicas: 1,
      selector: { matchLabels: { statefulset: name } },
      template: {
        // The jupyter web app gives the Notebook the label app, and all its labels are copied.
        metadata: { labels: { app: name, 'notebook-name': name, statefulset: name } },
        spec: { serviceAccountName: 'default-editor', containers: [container] },
      },
    },
  }
}

function serviceOf(notebook: Notebook) {
  const { name } = notebook
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(notebook),
    spec: {
      type: 'ClusterIP',
      selector: { statefulset: name },
      ports: [{ name: `http-${name}`, port: 80, targetPort: 8888, protocol: 'TCP' }],
    },
  }
}

/** Without a timeout, on purpose; `headers.request.set` is always there. */
function virtualServiceOf(notebook: Notebook) {
  const { namespace, name, headers = {} } = notebook
  const prefix = `/notebook/${namespace}/${name}/`
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'VirtualService',
    metadata: metadataOf(notebook, `notebook-${namespace}-${name}`),
    spec: {
      gateways: ['kubeflow/kubeflow-gateway'],
      hosts: ['*'],
      http: [
        {
          headers: { request: { set: headers } },
          match: [{ uri: { prefix } }],
          rewrite: { uri: notebook.rewrite || prefix },
          route: [{ destination: { host: `${name}.${namespace}.svc.cluster.local`, port: { number: 80 } } }],
        },
      ],
    },
  }
}
