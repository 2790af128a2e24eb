// What stands below the options of --help. docs/cli.md and the man pages are made of it too (test/cli/manual.ts): a heading
// and a colon, then indented lines, which are commands or `term  description`.

export const programHelp = `
Exit codes:
  0  fine
  1  an object is denied, an audit fails, or a migration or a revert is not done
  2  the input or the command line cannot be used, or the cluster cannot be read

Environment:
  KUBECONFIG                 kubeconfig files as kubectl reads them, in place of ~/.kube/config
  SIDESTEP_SETTINGS          the settings file, where --settings names none
  SIDESTEP_PROFILE           the profile, where --profile names none
  SIDESTEP_MODE              mode of the settings
  SIDESTEP_ROOT_NAMESPACE    rootNamespace of the settings
  SIDESTEP_TRUST_DOMAIN      trustDomain of the settings
  SIDESTEP_CLUSTER_DOMAIN    clusterDomain of the settings
  SIDESTEP_REVISION          revision of the settings
  SIDESTEP_VIRTUAL_SERVICES  virtualServices of the settings
  NO_COLOR                   no colours on a terminal, whatever the value
  FORCE_COLOR                colours where there is no terminal too, unless it is 0; stronger than NO_COLOR

Files:
  ~/.kube/config  the cluster, without --kubeconfig and KUBECONFIG
  /var/run/secrets/kubernetes.io/serviceaccount  the cluster, in a Pod where there is no kubeconfig

sidestep help COMMAND shows its options and examples.`

export const auditHelp = `
Examples:
  sidestep audit
  sidestep audit --context prod -n team-a --verbose
  helm template shop charts/shop | sidestep audit -f - --profile generic --fail-on warning
  sidestep audit -f manifests/ -o sarif > audit.sarif
  sidestep audit -f manifests/ -o html > audit.html

Exit codes:
  0  nothing that --fail-on names
  1  something that --fail-on names
  2  nothing can be read, or the command line cannot be used`

export const explainPolicyHelp = `
Examples:
  sidestep explain-policy ns-owner-access-istio -n team-a
  sidestep explain-policy ra/tokens --context prod -o json
  sidestep explain-policy ns-owner-access-istio -f examples/kubeflow
  kubectl get ns,svc,pod,gtw,ap,ra -A -o yaml | sidestep explain-policy team-a/ns-owner-access-istio -f - --as-is

Exit codes:
  0  the policy moves, or has moved
  1  the policy is denied
  2  there is no such policy, or the input, the cluster or the command line cannot be used`

export const explainHelp = `
Examples:
  sidestep explain
  sidestep explain VS-REWRITE-REGEX

Exit codes:
  0  printed
  2  there is no such code; the nearest ones are named`

export const convertHelp = `
Examples:
  sidestep convert -f manifests/ > ambient.yaml
  kustomize build overlays/prod | sidestep convert -f - > ambient.yaml
  sidestep convert -f policy.yaml --snapshot cluster/ --diagnostics findings.jsonl -o json

Exit codes:
  0  every object is printed, and none is denied
  1  an object is denied, and printed unchanged
  2  the input or the command line cannot be used; nothing is printed`

export const migrateHelp = `
Examples:
  sidestep migrate team-a --context prod
  sidestep migrate team-a --context prod --until prepare --yes
  sidestep migrate team-a team-b --context prod --restart --yes
  sidestep migrate team-a --context prod --revert --restart --yes

Exit codes:
  0    the step of --until is done, or without --yes: this is what would be done
  1    a namespace is blocked, or a gate does not open in time; run it again
  2    something is missing in the cluster, or the command line cannot be used
  130  interrupted; run it again to go on`

export const revertHelp = `
Examples:
  sidestep revert -f ambient.yaml > sidecars.yaml
  sidestep revert --context prod
  sidestep revert --context prod --yes

Exit codes:
  0  nothing is left, or without --yes: this is what would be done
  1  something is left that waits; run it again
  2  it is refused, as while sidestep still runs, or the input, the cluster or the command line cannot be used`

export const generatePoliciesHelp = `
Examples:
  sidestep generate policies --profile kubeflow | kubectl apply -f -

Exit codes:
  0  printed
  2  the settings or the command line cannot be used`

export const serveHelp = `
Examples:
  sidestep serve --snapshot examples/kubeflow
  sidestep serve --kubeconfig ~/.kube/config --settings settings.yaml
  sidestep serve --tls-secret sidestep-system/sidestep-ca --webhook-configuration sidestep

Exit codes:
  0  ended by a signal, after what was under way
  1  ended by a second signal, by the time limit, or by an error that nobody expected
  2  it cannot start: the settings, the cluster or the command line cannot be used`

export const completionHelp = `
Examples:
  source <(sidestep completion bash)
  sidestep completion zsh > ~/.zfunc/_sidestep
  sidestep completion fish > ~/.config/fish/completions/sidestep.fish

Exit codes:
  0  printed
  2  the command line cannot be used`
