// What is written by a program in deploy/: the chart's schema of `settings`, the table of its values, and the kustomize base.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isMap, isScalar, type Pair, parse, parseDocument, stringify, type YAMLMap } from 'yaml'
import type { Helm } from '../helm/helm.ts'

export const chart = resolve(import.meta.dirname, '../../deploy/chart')
export const kustomize = resolve(import.meta.dirname, '../../deploy/kustomize')
export const namespace = 'sidestep-system'

/** Every file by its path, as it should be. The chart is rendered as it is on disk, so its own files have to be written first. */
export function chartFiles(): Map<string, string> {
  const [schema, readme] = [join(chart, 'values.schema.json'), join(chart, 'README.md')]
  return new Map([
    [schema, withSettings(readFileSync(schema, 'utf8'))],
    [readme, withTable(readFileSync(readme, 'utf8'))],
  ])
}

export async function baseFiles(helm: Helm): Promise<Map<string, string>> {
  // The Namespace is rendered as well: who uses kustomize has nobody else to make it.
  const rendered = await template(helm, { namespace: { create: true } })
  const parts = rendered.split(/^---\n# Source: sidestep\/templates\//m).slice(1)
  const files = new Map<string, string>()
  for (const part of parts) {
    const [file = '', ...lines] = part.trimEnd().split('\n')
    const documents = files.get(file)
    files.set(file, `${documents ? `${documents}---\n` : ''}${lines.join('\n')}\n`)
  }
  // Of a ConfigMap that is no resource but generated, the name follows the content, in overlays that replace it as well.
  const { metadata, data } = parse(files.get('settings.yaml') ?? '')
  files.set('settings.yaml', data['settings.yaml'])
  const names = [...files.keys()].filter(name => name !== 'settings.yaml').sort()
  const generator = { name: metadata.name, namespace, files: ['settings.yaml'], options: { labels: metadata.labels } }
  files.set('kustomization.yaml', stringify({ resources: names, configMapGenerator: [generator] }))
  const notice = '# Written by `npm run manifests` from deploy/chart.\n'
  return new Map([...files].map(([name, content]) => [join(kustomize, 'base', name), notice + content]))
}

/** The chart with these values, as `helm template` prints it. */
export async function template(helm: Helm, values: object = {}): Promise<string> {
  const args = ['template', 'sidestep', chart, '--namespace', namespace, '--kube-version', '1.36.1', '--values', '-']
  const { stdout, stderr, code } = await helm(args, { stdin: JSON.stringify(values) })
  if (code !== 0) throw new Error(stderr)
  return stdout
}

/** A `$id` of its own makes the references within mean its own definitions. */
function withSettings(text: string): string {
  const schema = JSON.parse(text)
  const settings = JSON.parse(readFileSync(join(chart, '../settings.schema.json'), 'utf8'))
  schema.properties.settings = { $id: 'https://sidestep.dev/settings.schema.json', ...settings }
  return `${JSON.stringify(schema, null, 2)}\n`
}

function withTable(page: string): string {
  const values = parseDocument(readFileSync(join(chart, 'values.yaml'), 'utf8')).contents as YAMLMap
  const table = ['| Value | Default | Means |', '| --- | --- | --- |', ...rowsOf(values, '')].join('\n')
  return page.replace(/(?<=<!-- values -->\n).*(?=\n<!-- end -->)/s, () => table)
}

/** A row for each value that is no map of described values, with the comment above it. */
function rowsOf(map: YAMLMap, path: string): string[] {
  return (map.items as Pair[]).flatMap(({ key, value }, i) => {
    if (!isScalar(key)) throw new TypeError(`a key below ${path} is no scalar`)
    const name = `${path}${key.value}`
    // yaml gives the comment above the first key to the map, and with it what is set off by an empty line.
    const comment = (i === 0 ? map.commentBefore : key.commentBefore) ?? ''
    const means = comment.split('\n\n').at(-1)?.trim().replaceAll('\n', '') ?? ''
    if (isMap(value) && hasComments(value)) return rowsOf(value, `${name}.`)
    const shown = JSON.stringify(isMap(value) || !isScalar(value) ? (value as YAMLMap).toJSON() : value.value)
    return [`| \`${name}\` | \`${shown}\` | ${means} |`]
  })
}

function hasComments(map: YAMLMap): boolean {
  return (
    Boolean(map.commentBefore) ||
    (map.items as Pair[]).some(
      ({ key, value }) => (isScalar(key) && key.commentBefore) || (isMap(value) && hasComments(value)),
    )
  )
}
