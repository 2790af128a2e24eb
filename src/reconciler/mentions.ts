// Which Services a VirtualService can look at, by their names alone: so a new Service of one team lets nobody look at the
// routes of all the others.
import { isRecord } from '../translate/fate.ts'

/** Stands for every Service: of a wildcard, of a delegate's destinations, of the Services that are made for subsets. */
export const anyService = '*'

/**
 * The first labels of all hosts that can name a Service: those of destinations, and in the mesh its own. Rather too many
 * than one too few, since what they are read for decides only about who is looked at.
 */
export function serviceNamesIn(spec: unknown): Set<string> {
  const { gateways } = isRecord(spec) ? spec : {}
  const isInMesh = !Array.isArray(gateways) || gateways.length === 0 || gateways.includes('mesh')
  const fields = isInMesh ? ['host', 'hosts', 'sniHosts'] : ['host']
  const names = new Set<string>()
  const read = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) read(each)
    if (!isRecord(value)) return
    for (const [field, inner] of Object.entries(value)) {
      if (field === 'subset' || field === 'delegate') names.add(anyService)
      if (fields.includes(field)) for (const host of [inner].flat()) names.add(nameIn(host))
      else read(inner)
    }
  }
  read(spec)
  return names
}

function nameIn(host: unknown): string {
  const [name = ''] = String(host).toLowerCase().split('.')
  return name.includes('*') ? anyService : name
}
