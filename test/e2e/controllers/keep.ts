// What all controllers here do with an object of theirs: read it, create it when it is missing, compare, and write the whole
// object when they do not like what they see. They differ in what they compare and in what they write, and in nothing else.
import { isDeepStrictEqual } from 'node:util'
import type { KubernetesObject } from '../../../src/apis/core.ts'
import { collectionOf, pathOf } from '../../../src/reconciler/paths.ts'
import { type Send, succeeded } from './send.ts'

export interface Desired extends KubernetesObject {
  // biome-ignore lint/suspicious/noExplicitAny: each controller knows the specs of its own kinds.
  spec?: any
}

/** What a controller PUTs when it finds `stored`; undefined when it is content. */
export type Replacement = (stored: Desired, desired: Desired) => Desired | undefined

/** Returns what it has written, as `verb kind`. */
export async function keep(send: Send, desired: Desired, replacement: Replacement): Promise<string[]> {
  const found = await send('GET', pathOf(desired))
  if (found.status === 404) {
    succeeded(await send('POST', collectionOf(desired), desired))
    return [`create ${desired.kind}`]
  }
  const put = replacement(succeeded(found).body, desired)
  if (!put) return []
  succeeded(await send('PUT', pathOf(desired), put))
  return [`update ${desired.kind}`]
}

/** For a controller that creates the object and never looks at it again. */
export const content: Replacement = () => undefined

/** `reflect.DeepEqual` of the specs; metadata is neither compared nor changed. */
export const comparingSpec: Replacement = (stored, { spec }) =>
  isDeepStrictEqual(stored.spec, spec) ? undefined : { ...stored, spec }

/** The stored object with other labels and annotations, of which nothing is kept that is not given. */
export function withMetadata(stored: Desired, { metadata: { labels, annotations } }: Desired): Desired {
  const { labels: _, annotations: __, ...rest } = stored.metadata
  return { ...stored, metadata: { ...rest, ...(labels && { labels }), ...(annotations && { annotations }) } }
}
