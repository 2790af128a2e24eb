// The options that several commands have, in the order in which each command lists its own.
import { InvalidArgumentError, Option } from 'commander'

/** What conflicts with an option is named as commander names it: `filename`, not `--filename`. */
type Conflicts = string | string[]

export const filenameOption = () =>
  new Option('-f, --filename <path>', 'file, directory (recursively) or - for stdin; may be repeated').argParser(
    collect,
  )
export const snapshotOption = () =>
  new Option('--snapshot <dir>', 'what else is in the cluster: read for judging, not printed')
export const kubeconfigOption = (conflicts: Conflicts) =>
  new Option('--kubeconfig <file>', 'how to reach the cluster, in place of KUBECONFIG and ~/.kube/config').conflicts(
    conflicts,
  )
export const contextOption = (conflicts: Conflicts) =>
  new Option('--context <name>', 'context of the kubeconfig').conflicts(conflicts)
export const namespacesOption = () =>
  new Option('-n, --namespace <name>', 'this namespace only; may be repeated').argParser(collect)
export const settingsOption = () =>
  new Option('--settings <file>', 'settings file; without one, those of the profile hold')
export const profileOption = () =>
  new Option('--profile <name>', 'built-in settings to begin with, such as kubeflow, deploykf or generic')
export const asIsOption = () =>
  new Option('--as-is', 'judge by the status in the files, not by the end state in which all of sidestep is in place')
export const outputOption = (...formats: [preset: string, ...others: string[]]) =>
  new Option('-o, --output <format>', 'output format').choices(formats).default(formats[0])

// What a value has to be -------------------------------------------------------------------------------------------

function collect(value: string, values: string[] = []): string[] {
  return [...values, value]
}

export function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65535) throw new InvalidArgumentError('It must be a number from 0 to 65535.')
  return port
}

/** Not less than the largest body. */
export function mebibytesOf(text: string): number {
  const size = Number(text)
  if (!/^\d+$/.test(text) || size < 8 || size > 4096)
    throw new InvalidArgumentError('It must be a number from 8 to 4096.')
  return size
}

export function keyOf(text: string): { namespace: string; name: string } {
  const [, namespace, name] = /^([a-z0-9][-a-z0-9]*)\/([a-z0-9][-.a-z0-9]*)$/.exec(text) ?? []
  if (!namespace || !name) throw new InvalidArgumentError('It must be NAMESPACE/NAME.')
  return { namespace, name }
}

export function secondsOf(text: string): number {
  const seconds = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a number of seconds.')
  return seconds
}
