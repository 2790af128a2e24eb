// npm run manifests
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureHelm } from '../helm/helm.ts'
import { baseFiles, chartFiles, kustomize } from './manifests.ts'

const helm = await ensureHelm()
if ('reason' in helm) throw new Error(helm.reason)
for (const [path, content] of chartFiles()) await writeFile(path, content)
const base = await baseFiles(helm)
await rm(join(kustomize, 'base'), { recursive: true, force: true })
await mkdir(join(kustomize, 'base'), { recursive: true })
for (const [path, content] of base) await writeFile(path, content)
