#!/usr/bin/env node
// `kubectl sidestep <TAB>`: kubectl 1.26 and later asks what is called kubectl_complete-NAME on the PATH.
// https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#completion
import { run } from './main.ts'
import { runProcess } from './process.ts'

await runProcess((argv, io) => run(['__complete', '--', ...argv], io))
