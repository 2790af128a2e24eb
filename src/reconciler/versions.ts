// How far the watches have come: after a write, whether the snapshot shows it.
//
// A resourceVersion is the revision of etcd at which something was stored. Since Kubernetes 1.35 the API says that those of
// one resource may be compared as integers (https://kep.k8s.io/5504), which has been so for longer wherever etcd is behind
// it. A watch brings events in that order, and bookmarks and lists say up to where it has come: whatever happened to any
// object of the resource up to there has been heard, also that it was deleted.

export class Versions {
  readonly #reached = new Map<string, bigint>()

  /** @param collections what is followed, each as `/apis/GROUP/VERSION/PLURAL` */
  constructor(collections: Iterable<string>) {
    for (const collection of collections) this.#reached.set(collection, -1n)
  }

  /** Everything in this collection has been heard up to this version. */
  reached(collection: string, resourceVersion: string): void {
    this.#reached.set(collection, numberOf(resourceVersion))
  }

  /** @throws Error when nothing follows the collection, where waiting would never end */
  has(path: string, resourceVersion: string): boolean {
    const reached = this.#reached.get(collectionOf(path))
    if (reached === undefined) throw new Error(`nothing follows ${path}`)
    return reached >= numberOf(resourceVersion)
  }
}

/** Of any namespace, and of none: `/api/v1/namespaces/NAME` is a Namespace itself. */
function collectionOf(path: string): string {
  const [, version, plural] =
    /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/[^/]+)?\/([^/]+)\/[^/]+$/.exec(path) ?? []
  return `${version}/${plural}`
}

/** 0 for what is no number, which only an aggregated API without etcd could give. */
function numberOf(resourceVersion: string): bigint {
  return /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : 0n
}
