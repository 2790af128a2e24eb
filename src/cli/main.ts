#!/usr/bin/env node
// The command line. Each command's module is loaded when the command is run: `explain` needs no YAML parser, and
// `convert` no Kubernetes client.
import { readFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { KubernetesObject } from '../apis/core.ts'
import type { Translate } from '../translate/translation.ts'
import type { ExitCode, Io } from './io.ts'

/** What tests put in the place of the real thing. */
export interface Parts {
  translate?: Translate<KubernetesObject>
}

/**
 * Runs one command line, without the names of node and script. Never throws and never ends the process: whatever
 * happens is text on stderr and an exit code.
 */
export async function run(argv: readonly string[], io: Io, { translate }: Parts = {}): Promise<ExitCode> {
  let exitCode: ExitCode = 0
  const program = programFor(io)

  program
    .command('convert')
    .summary('translate manifests on stdin or in files')
    .description(
      `Translates manifests as the webhook would, and prints every object, rewritten or not, each followed by the objects
that sidestep would keep beside it. A denied object is printed unchanged, so that nothing is lost; its reasons are on
stderr and the exit code is 1. When the input itself cannot be read, nothing is printed and the exit code is 2.`,
    )
    .option('-f, --filename <path>', 'file, directory (recursively) or - for stdin; may be repeated', collect)
    .addOption(settingsOption())
    .addOption(profileOption())
    .option('--snapshot <dir>', 'what else is in the cluster: read for judging, not printed')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['yaml', 'json']).default('yaml'))
    .addOption(asIsOption())
    .option('--diagnostics <file>', 'write all diagnostics to a file, one JSON object a line')
    .option('-v, --verbose', 'show notes too, not only warnings and denials')
    .addHelpText('after', convertExamples)
    .showHelpAfterError('(every file needs its own -f; sidestep convert --help shows all options)')
    .action(async (flags, command: Command) => {
      if (!flags.filename) command.error('error: nothing to convert; name a file, a directory or - with -f')
      const { runConvert } = await import('./offline.ts')
      exitCode = await runConvert(flags, io, translate)
    })

  program
    .command('explain')
    .summary('explain a diagnostic code')
    .description('Explains a diagnostic code; without one, lists them all.')
    .argument('[code]', 'such as VS-REWRITE-REGEX')
    .addHelpText('after', explainExamples)
    .action(async code => {
      const { explain } = await import('./explain.ts')
      exitCode = explain(code, io)
    })

  program
    .command('explain-policy')
    .summary('say where a policy is on its way to ambient')
    .description(
      `Says who enforces which part of an AuthorizationPolicy or RequestAuthentication in ambient, which steps of its way are
done, and what the next one waits for. With files it judges as convert does; without any it asks the cluster of the
kubeconfig, once. The exit code is 1 when the policy is denied.`,
    )
    .argument('<name>', 'NAME, NAMESPACE/NAME, ap/NAME or ra/NAME')
    .option('-n, --namespace <name>', 'namespace of the policy; needed when several have one of that name')
    .option('-f, --filename <path>', 'file, directory (recursively) or - for stdin; may be repeated', collect)
    .option('--snapshot <dir>', 'what else is in the cluster')
    .addOption(new Option('--kubeconfig <file>', 'how to reach the cluster').conflicts(['filename', 'snapshot']))
    .addOption(new Option('--context <name>', 'context of the kubeconfig').conflicts(['filename', 'snapshot']))
    .addOption(settingsOption())
    .addOption(profileOption())
    .addOption(asIsOption())
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .addHelpText('after', explainPolicyExamples)
    .showHelpAfterError('(sidestep explain-policy --help shows all options)')
    .action(async (name, flags) => {
      const { runExplainPolicy } = await import('./explain-policy.ts')
      exitCode = await runExplainPolicy(name, flags, io)
    })

  program
    .command('serve')
    .summary('run the webhook, and in a cluster the reconciler')
    .description(
      `Runs the webhook and the reconciler against the cluster of the kubeconfig, or of the Pod it runs in. With --snapshot
it needs no cluster: only the webhook runs, and judges by the files.`,
    )
    .addOption(new Option('--kubeconfig <file>', 'how to reach the cluster').conflicts('snapshot'))
    .option('--snapshot <dir>', 'serve without a cluster, from the manifests in a directory')
    .addOption(settingsOption())
    .addOption(profileOption())
    .option('--port <number>', 'port of the webhook (HTTPS)', portOf)
    .option('--ops-port <number>', 'port of health and metrics', portOf)
    .option('--tls-cert <file>', 'certificate of the webhook; without one, it is self-signed')
    .option('--tls-key <file>', 'key of the certificate')
    .addOption(asIsOption())
    .addHelpText('after', serveExamples)
    .action(async flags => {
      const { runServe } = await import('./serve.ts')
      exitCode = await runServe(flags, io)
    })

  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    io.stderr.write(`error: ${sentenceOf(error)}\n`)
    return 2
  }
}

function programFor({ stdout, stderr }: Io): Command {
  return new Command('sidestep')
    .description('Runs clusters that are written for Istio sidecars on Istio ambient.')
    .version(versionOf(new URL('../../package.json', import.meta.url)))
    .exitOverride()
    .configureOutput({
      writeOut: text => stdout.write(text),
      writeErr: text => stderr.write(text),
      getOutHelpWidth: () => 120,
      getErrHelpWidth: () => 120,
    })
    .showHelpAfterError('(sidestep help COMMAND shows its options and examples)')
    .addHelpText(
      'after',
      '\nExit codes: 0 fine, 1 an object is denied, 2 the input or the command line cannot be used.',
    )
}

// Options ----------------------------------------------------------------------------------------------------------

const settingsOption = () => new Option('--settings <file>', 'settings file; without one, those of the profile hold')
const profileOption = () =>
  new Option('--profile <name>', 'built-in settings to begin with, such as kubeflow, deploykf or generic')
const asIsOption = () =>
  new Option('--as-is', 'judge by the status in the files, not by the end state in which all of sidestep is in place')

function collect(path: string, paths: string[] = []): string[] {
  return [...paths, path]
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65535) throw new InvalidArgumentError('It must be a number from 0 to 65535.')
  return port
}

const convertExamples = `
Examples:
  sidestep convert -f manifests/ > ambient.yaml
  kustomize build overlays/prod | sidestep convert -f - | kubectl apply -f -
  sidestep convert -f policy.yaml --snapshot cluster/ --diagnostics findings.jsonl -o json`

const explainExamples = `
Examples:
  sidestep explain
  sidestep explain VS-REWRITE-REGEX`

const explainPolicyExamples = `
Examples:
  sidestep explain-policy ns-owner-access-istio -n team-a
  sidestep explain-policy ra/tokens --context prod -o json
  sidestep explain-policy ns-owner-access-istio -f examples/kubeflow
  kubectl get ns,svc,pod,gtw,ap,ra -A -o yaml | sidestep explain-policy team-a/ns-owner-access-istio -f - --as-is`

const serveExamples = `
Examples:
  sidestep serve --snapshot examples/kubeflow
  sidestep serve --kubeconfig ~/.kube/config --settings settings.yaml`

// Errors -----------------------------------------------------------------------------------------------------------

/** Expected errors carry a code and speak for themselves; anything else is a bug, and then the stack is what helps. */
function sentenceOf(error: unknown): string {
  const isExpected = error instanceof Error && 'code' in error
  return isExpected ? error.message : `this is a bug in sidestep, please report it\n${inspect(error)}`
}

function versionOf(file: URL): string {
  return JSON.parse(readFileSync(file, 'utf8')).version
}

// The process ------------------------------------------------------------------------------------------------------

/** npm starts the file through a symbolic link. */
function isEntry(script = ''): boolean {
  return script !== '' && realpathSync(script) === fileURLToPath(import.meta.url)
}

if (isEntry(process.argv[1])) {
  // Whoever reads has seen enough (`| head`): that is no error, and the rest may go nowhere.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  process.exitCode = await run(process.argv.slice(2), process)
}
