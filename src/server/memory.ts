// Translations that were made a moment ago. A write comes twice, to /mutate and to /validate, and controllers write what is
// there already; as long as the cluster is the same, so is the answer, because translate() is pure.
import type { KubernetesObject } from '../apis/core.ts'
import { isEqual } from '../translate/canonical.ts'
import type { Settings } from '../translate/settings.ts'
import type { ClusterSnapshot } from '../translate/snapshot.ts'
import type { Translate, Translation } from '../translate/translation.ts'

export interface Memory {
  /** translate(), for one cluster and one set of settings. */
  translate: Translate<KubernetesObject>
  /** To be called after each change of the cluster. */
  forget(): void
}

interface Known {
  translation: Translation
  /** Then the object that is asked for is given back itself, so that nobody has to compare the two. Found out when it comes again. */
  isUnchanged?: boolean
}

/** How much is remembered; what was not asked for longest goes first. */
export interface Capacity {
  /** The JSON of all objects together. A translation takes a few times that. */
  characters: number
}

const defaultCapacity: Capacity = { characters: 2 * 1024 * 1024 }

export function remember(translate: Translate<KubernetesObject>, { characters } = defaultCapacity): Memory {
  const known = new Map<string, Known>()
  let length = 0
  let last: [ClusterSnapshot, Settings] | undefined
  const forget = () => {
    known.clear()
    length = 0
  }
  return {
    forget,
    translate(object, cluster, settings) {
      if (last?.[0] !== cluster || last[1] !== settings) {
        forget()
        last = [cluster, settings]
      }
      const text = JSON.stringify(object)
      // Larger ones would push out all others.
      if (text.length > characters / 16) return translate(object, cluster, settings)
      const remembered = known.get(text)
      if (remembered) {
        known.delete(text)
        known.set(text, remembered)
        remembered.isUnchanged ??= isEqual(remembered.translation.object, object)
        return remembered.isUnchanged ? { ...remembered.translation, object } : remembered.translation
      }
      const translation = translate(object, cluster, settings)
      known.set(text, { translation })
      length += text.length
      for (const oldest of known.keys()) {
        if (length <= characters) break
        known.delete(oldest)
        length -= oldest.length
      }
      return translation
    },
  }
}
