#!/usr/bin/env node
// The command line. Each command's module is loaded when the command is run: `explain` needs no YAML parser, and
// `convert` no Kubernetes client. Help, completion, docs/cli.md and the man pages are all read from what is said here.
import { inspect } from 'node:util'
import { Argument, Command, CommanderError, Option } from 'commander'
import type { KubernetesObject } from '../apis/core.ts'
import { migrationSteps } from '../translate/migration.ts'
import type { Translate } from '../translate/translation.ts'
import {
  auditHelp,
  completionHelp,
  convertHelp,
  explainHelp,
  explainPolicyHelp,
  generatePoliciesHelp,
  migrateHelp,
  programHelp,
  revertHelp,
  serveHelp,
} from './help.ts'
import type { ExitCode, Io } from './io.ts'
import {
  asIsOption,
  contextOption,
  filenameOption,
  keyOf,
  kubeconfigOption,
  mebibytesOf,
  namespacesOption,
  outputOption,
  portOf,
  profileOption,
  secondsOf,
  settingsOption,
  snapshotOption,
} from './options.ts'
import { isEntry, runProcess } from './process.ts'
import { ownVersion } from './version.ts'

export interface Parts {
  /** What tests put in the place of the real thing. */
  translate?: Translate<KubernetesObject>
  /** As what it is called: `sidestep`, or `kubectl sidestep`. */
  name?: string
}

/**
 * Runs one command line, without the names of node and script. Never throws and never ends the process: whatever
 * happens is text on stderr and an exit code.
 */
export async function run(argv: readonly string[], io: Io, parts: Parts = {}): Promise<ExitCode> {
  const { program, exitCode } = commandLine(io, parts)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCode()
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    io.stderr.write(`error: ${sentenceOf(error)}\n`)
    return 2
  }
}

/** The groups of `sidestep --help`. */
const groups = { judge: 'Judge:', files: 'Write files:', cluster: 'In a cluster:', shell: 'Set up a shell:' }

/** All commands, and the exit code of the one that was run. */
export function commandLine(
  io: Io,
  { translate, name = 'sidestep' }: Parts = {},
): {
  program: Command
  exitCode: () => ExitCode
} {
  let exitCode: ExitCode = 0
  const program = programFor(io, name)

  program
    .command('audit')
    .helpGroup(groups.judge)
    .summary('say what of a cluster or of files can move to ambient')
    .description(
      `Judges everything at once, by the state in which all of sidestep is in place, and says per namespace whether it is ready,
ready with warnings, or blocked, and what to do first. With files it reads what kustomize and helm print; without any it
lists the cluster of the kubeconfig, once, and writes nothing (docs/audit.md has a ClusterRole that cannot). What is in
ambient already is judged by istiod's status too.`,
    )
    .addOption(filenameOption())
    .addOption(kubeconfigOption('filename'))
    .addOption(contextOption('filename'))
    .addOption(namespacesOption())
    .addOption(settingsOption())
    .addOption(profileOption())
    .addOption(outputOption('table', 'json', 'sarif', 'junit', 'html'))
    .addOption(
      new Option('--fail-on <severity>', 'what makes the exit code 1')
        .choices(['warning', 'denial', 'never'])
        .default('denial'),
    )
    .option(
      '-v, --verbose',
      'show notes too, each finding in its own words, and namespaces of which there is nothing to say',
    )
    .addHelpText('after', auditHelp)
    .showHelpAfterError('(every file needs its own -f; sidestep audit --help shows all options)')
    .action(async flags => {
      const { runAudit } = await import('./audit.ts')
      exitCode = await runAudit(flags, io, translate)
    })

  program
    .command('explain-policy')
    .helpGroup(groups.judge)
    .summary('say where a policy is on its way to ambient')
    .description(
      `Says who enforces which part of an AuthorizationPolicy or RequestAuthentication in ambient, which steps of its way are
done, and what the next one waits for. With files it judges as convert does; without any it asks the cluster of the
kubeconfig, once.`,
    )
    .argument('<name>', 'NAME, NAMESPACE/NAME, ap/NAME or ra/NAME')
    .addOption(filenameOption())
    .addOption(snapshotOption())
    .addOption(kubeconfigOption(['filename', 'snapshot']))
    .addOption(contextOption(['filename', 'snapshot']))
    .option('-n, --namespace <name>', 'namespace of the policy; needed when several have one of that name')
    .addOption(settingsOption())
    .addOption(profileOption())
    .addOption(asIsOption())
    .addOption(outputOption('text', 'json'))
    .addHelpText('after', explainPolicyHelp)
    .showHelpAfterError('(sidestep explain-policy --help shows all options)')
    .action(async (name, flags) => {
      const { runExplainPolicy } = await import('./explain-policy.ts')
      exitCode = await runExplainPolicy(name, flags, io)
    })

  program
    .command('explain')
    .helpGroup(groups.judge)
    .summary('explain a diagnostic code')
    .description('Explains a diagnostic code; without one, lists them all.')
    .argument('[code]', 'such as VS-REWRITE-REGEX')
    .addHelpText('after', explainHelp)
    .action(async code => {
      const { explain } = await import('./explain.ts')
      exitCode = explain(code, io)
    })

  program
    .command('convert')
    .helpGroup(groups.files)
    .summary('translate manifests on stdin or in files')
    .description(
      `Translates manifests as the webhook would, and prints every object, rewritten or not, each followed by the objects
that sidestep would keep beside it. A denied object is printed unchanged, so that nothing is lost; its reasons are on
stderr. When the input itself cannot be read, nothing is printed.`,
    )
    .addOption(filenameOption())
    .addOption(snapshotOption())
    .addOption(settingsOption())
    .addOption(profileOption())
    .addOption(asIsOption())
    .addOption(outputOption('yaml', 'json'))
    .option('--diagnostics <file>', 'write all diagnostics to a file, one JSON object a line')
    .option('-v, --verbose', 'show notes too, not only warnings and denials')
    .addHelpText('after', convertHelp)
    .showHelpAfterError('(every file needs its own -f; sidestep convert --help shows all options)')
    .action(async (flags, command: Command) => {
      if (!flags.filename) command.error('error: nothing to convert; name a file, a directory or - with -f')
      const { runConvert } = await import('./offline.ts')
      exitCode = await runConvert(flags, io, translate)
    })

  program
    .command('migrate')
    .helpGroup(groups.cluster)
    .summary('take namespaces of a cluster to ambient, gate by gate')
    .description(
      `Says what there is to do for namespaces to go from sidecars to ambient; --yes does it, with the sidestep that runs
in the cluster, and waits at each gate: prepare, capture, restart, enrol, routes, verify. It can be interrupted anywhere
and run again. It restarts no workload but with --restart.`,
    )
    .argument('<namespace...>', 'namespaces, one after the other')
    .addOption(kubeconfigOption([]))
    .addOption(contextOption([]))
    .addOption(settingsOption())
    .addOption(profileOption())
    .addOption(new Option('--until <step>', 'stop when this step is done').choices(migrationSteps).default('verify'))
    .option(
      '--restart',
      'restart workloads whose pods have sidecars, one after another, as kubectl rollout restart does',
    )
    .addOption(new Option('--revert', 'take the namespaces back to sidecars').conflicts('until'))
    .option('--timeout <seconds>', 'how long to wait at one gate; 0 for as long as it takes', secondsOf, 600)
    .addOption(new Option('--interval <seconds>', 'between two looks').argParser(secondsOf).default(2).hideHelp())
    .option('--yes', 'carry it out')
    .addHelpText('after', migrateHelp)
    .showHelpAfterError('(sidestep migrate --help shows all options)')
    .action(async (namespaces, flags) => {
      const { runMigrate } = await import('./migrate.ts')
      exitCode = await runMigrate(namespaces, flags, io)
    })

  program
    .command('revert')
    .helpGroup(groups.cluster)
    .summary('take it all back, in files or in a cluster')
    .description(
      `With files, prints every object as its author wrote it, without what sidestep keeps beside it. Without any, it says what
it would write to the cluster of the kubeconfig, in the order in which nothing opens, and why in this order; --yes does so
until only that is left which waits for a person. It can be interrupted anywhere and run again.`,
    )
    .addOption(filenameOption())
    .addOption(kubeconfigOption('filename'))
    .addOption(contextOption('filename'))
    .addOption(namespacesOption().conflicts('filename'))
    .addOption(settingsOption())
    .addOption(profileOption())
    .addOption(new Option('-o, --output <format>', 'output format, of files').choices(['yaml', 'json']))
    .addOption(new Option('--dry-run', 'try every write at the API server, which stores none').conflicts('filename'))
    .addOption(new Option('--yes', 'carry it out').conflicts(['filename', 'dryRun']))
    .addHelpText('after', revertHelp)
    .showHelpAfterError('(sidestep revert --help shows all options)')
    .action(async flags => {
      const { runRevert } = await import('./revert.ts')
      exitCode = await runRevert(flags, io)
    })

  program
    .command('generate')
    .helpGroup(groups.files)
    .summary('write manifests')
    .description('Writes manifests that carry out settings in a cluster.')
    .command('policies')
    .summary('print what the API server can do without a webhook')
    .description(
      `Prints ValidatingAdmissionPolicies and MutatingAdmissionPolicies (Kubernetes 1.36 or later) for what an expression can see
of an object and its Namespace: denials by field, and new Namespaces made ambient. The webhook does all of it and more.`,
    )
    .addOption(settingsOption())
    .addOption(profileOption())
    .addHelpText('after', generatePoliciesHelp)
    .action(async flags => {
      const { runGeneratePolicies } = await import('./generate.ts')
      exitCode = runGeneratePolicies(flags, io)
    })

  program
    .command('serve')
    .helpGroup(groups.cluster)
    .summary('run the webhook, and in a cluster the reconciler')
    .description(
      `Runs the webhook and the reconciler against the cluster of the kubeconfig, or of the Pod it runs in. With --snapshot
it needs no cluster: only the webhook runs, and judges by the files. Of several replicas all answer the API server, and
the one that holds the Lease reconciles. The certificate is that of --tls-cert, or signed by the authority in --tls-secret,
or else self-signed, for a trial.`,
    )
    .option('--snapshot <dir>', 'serve without a cluster, from the manifests in a directory')
    .addOption(kubeconfigOption('snapshot'))
    .addOption(settingsOption())
    .addOption(profileOption())
    .addOption(asIsOption())
    .addOption(new Option('--admission-only', 'run the webhook only').conflicts('reconcileOnly'))
    .addOption(new Option('--reconcile-only', 'run the reconciler only').conflicts(['snapshot', 'port']))
    .addOption(
      new Option('--lease-namespace <name>', 'where the Lease is; by default the namespace of this Pod').conflicts([
        'snapshot',
        'admissionOnly',
      ]),
    )
    .option('--port <number>', 'port of the webhook (HTTPS)', portOf)
    .option('--ops-port <number>', 'port of health and metrics', portOf)
    .addOption(
      new Option(
        '--max-held <MiB>',
        'of all calls under way together, each at least 64 KiB; the oldest is refused (default: 64)',
      )
        .argParser(mebibytesOf)
        .conflicts('reconcileOnly'),
    )
    .option('--tls-cert <file>', 'certificate of the webhook, read again when it changes')
    .option('--tls-key <file>', 'key of the certificate')
    .addOption(
      new Option('--tls-secret <namespace/name>', 'Secret for an authority that sidestep keeps and signs with')
        .argParser(keyOf)
        .conflicts(['snapshot', 'reconcileOnly', 'tlsCert', 'tlsKey']),
    )
    .option(
      '--webhook-configuration <name>',
      'webhook configurations whose caBundle follows --tls-secret (default: sidestep)',
    )
    .option('--service <name>', 'Service for which --tls-secret signs, in its namespace (default: sidestep)')
    .addHelpText('after', serveHelp)
    .action(async flags => {
      const { runServe } = await import('./serve.ts')
      exitCode = await runServe(flags, io)
    })

  program
    .command('completion')
    .helpGroup(groups.shell)
    .summary('print a completion script')
    .description('Prints a script by which a shell completes commands, options, and values such as codes and contexts.')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', completionHelp)
    .action(async shell => {
      const { completionScript } = await import('./completion/index.ts')
      io.stdout.write(completionScript(shell))
    })

  // What the scripts and kubectl ask; all words come after --, so that none of them is an option of this command.
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(async words => {
      const { complete, toCobra } = await import('./completion/index.ts')
      io.stdout.write(toCobra(await complete(program, words, io.env)))
    })

  unbreak(program)
  return { program, exitCode: () => exitCode }
}

/** Lines of descriptions end where the source has them; --help is to break them where its own lines end. */
function unbreak(command: Command): void {
  command.description(command.description().replaceAll('\n', ' '))
  for (const each of command.commands) unbreak(each)
}

function programFor({ stdout, stderr }: Io, name: string): Command {
  const program = new Command(name)
  /** Examples and hints are written with `sidestep`. */
  const asCalled = (text: string) => {
    const commands = program.commands.map(command => command.name()).join('|')
    return text.replace(new RegExp(`(?<!kubectl )\\bsidestep (?=(${commands}|help)\\b)`, 'g'), `${name} `)
  }
  return program
    .summary('run clusters that are written for Istio sidecars on Istio ambient')
    .description('Runs clusters that are written for Istio sidecars on Istio ambient.')
    .version(ownVersion())
    .exitOverride()
    .configureOutput({
      writeOut: text => stdout.write(asCalled(text)),
      writeErr: text => stderr.write(asCalled(text)),
      getOutHelpWidth: () => 120,
      getErrHelpWidth: () => 120,
    })
    .showHelpAfterError('(sidestep help COMMAND shows its options and examples)')
    .addHelpText('after', programHelp)
}

// Errors -----------------------------------------------------------------------------------------------------------

/** Expected errors carry a code and speak for themselves; anything else is a bug, and then the stack is what helps. */
function sentenceOf(error: unknown): string {
  const isExpected = error instanceof Error && 'code' in error
  return isExpected ? error.message : `this is a bug in sidestep, please report it\n${inspect(error)}`
}

if (isEntry(import.meta.url)) await runProcess(run)
