{{- define "sidestep.selector" -}}
app.kubernetes.io/name: sidestep
{{- end }}

{{/* Never the label managed-by: sidestep, by which companions are known. */}}
{{- define "sidestep.labels" -}}
{{ include "sidestep.selector" . }}
app.kubernetes.io/part-of: sidestep
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "sidestep.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end }}

{{/* Three quarters of the memory limit, in MiB. */}}
{{- define "sidestep.heap" -}}
{{- $limit := .Values.resources.limits.memory -}}
{{- $mebibytes := trimSuffix "Mi" $limit | int -}}
{{- if hasSuffix "Gi" $limit -}}
{{- $mebibytes = mul 1024 (trimSuffix "Gi" $limit | int) -}}
{{- end -}}
{{- div (mul 3 $mebibytes) 4 -}}
{{- end }}

{{/* What the schema cannot say. */}}
{{- define "sidestep.check" -}}
{{- $root := default "istio-system" .Values.settings.rootNamespace -}}
{{- $excluded := append .Values.webhooks.excludedNamespaces .Release.Namespace -}}
{{- if has $root $excluded -}}
{{- fail (printf "webhooks: namespace %s is Istio's root namespace and must be judged, since its policies hold for the whole mesh; take it off excludedNamespaces, and install sidestep elsewhere" $root) -}}
{{- end -}}
{{- $replicas := ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled -}}
{{- if and (eq .Values.webhooks.validateFailurePolicy "Fail") (lt (int $replicas) 2) -}}
{{- fail "webhooks.validateFailurePolicy: Fail needs at least two replicas, or every restart would refuse writes" -}}
{{- end -}}
{{- end }}
