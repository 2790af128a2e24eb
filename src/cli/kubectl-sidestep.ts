#!/usr/bin/env node
// `kubectl sidestep`: kubectl runs what is called kubectl-NAME on the PATH, with all that follows the name.
import { run } from './main.ts'
import { runProcess } from './process.ts'

await runProcess((argv, io) => run(argv, io, { name: 'kubectl sidestep' }))
