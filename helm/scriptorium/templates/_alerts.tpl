{{/* The alerts of `alerts/`, as `monitoring.prometheusRule` wants them. */}}

{{/* Their groups, as a YAML list. */}}
{{- define "scriptorium.alertGroups" -}}
{{- $values := .Values.monitoring.prometheusRule }}
{{- $names := list }}
{{- range $path, $_ := .Files.Glob "alerts/*.yaml" }}
{{- range $group := $.Files.Get $path | fromYamlArray }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- $names = append $names $rule.alert }}
{{- if not (has $rule.alert $values.disabled) }}
{{- $rules = append $rules (include "scriptorium.alert" (dict "root" $ "rule" $rule) | fromYaml) }}
{{- end }}
{{- end }}
{{- if $rules }}
- name: {{ $group.name }}
  rules:
    {{- toYaml $rules | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
{{- range concat $values.disabled (keys $values.alerts | sortAlpha) }}
{{- if not (has . $names) }}
{{- fail (printf "monitoring.prometheusRule: there is no alert %s. There are: %s." . (sortAlpha $names | join ", ")) }}
{{- end }}
{{- end }}
{{- end }}

{{/* One alert with what the values change of it. In: root, rule. */}}
{{- define "scriptorium.alert" -}}
{{- $rule := deepCopy .rule }}
{{- $values := .root.Values.monitoring.prometheusRule }}
{{- $own := get $values.alerts $rule.alert | default dict }}
{{- $expr := $rule.expr }}
{{- range $word, $value := $own.thresholds }}
{{- $number := printf "[0-9.]+([smhdw]?[^0-9\n]* # %s)(\n|$)" $word }}
{{- if not (regexMatch $number $expr) }}
{{- fail (printf "monitoring.prometheusRule.alerts.%s.thresholds: there is no %s." $rule.alert $word) }}
{{- end }}
{{- $expr = regexReplaceAll $number $expr (printf "%v${1}${2}" $value) }}
{{- end }}
{{- $wanted := "min_over_time(scriptorium_desired_workers[5m])" }}
{{- if and (not .root.Values.keda.enabled) (contains $wanted $expr) }}
{{- $expr = replace $wanted (include "scriptorium.fixedWorkers" .root) $expr }}
{{- end }}
{{- /* Only this release: its thresholds are not those of another one in the same Prometheus. */}}
{{- $release := dict "namespace" .root.Release.Namespace "release" .root.Release.Name }}
{{- $matchers := list }}
{{- range $label, $value := $values.matchers | default $release }}
{{- $matchers = append $matchers (printf "%s=%s" $label ($value | toJson | replace "$" "$$")) }}
{{- end }}
{{- $matchers = join "," $matchers }}
{{- $expr = regexReplaceAll "(scriptorium_[a-z_]+)\\{" $expr (printf "${1}{%s," $matchers) }}
{{- $expr = regexReplaceAll "(scriptorium_[a-z_]+)([^a-z_{])" $expr (printf "${1}{%s}${2}" $matchers) }}
{{- if contains "GPU_POOLS" $expr }}
{{- $pools := include "scriptorium.poolsWithGpu" .root | fromJsonArray }}
{{- $expr = replace "GPU_POOLS" ($pools | join "|" | default "none") $expr }}
{{- end }}
{{- $_ := set $rule "expr" $expr }}
{{- with $own.for }}{{ $_ := set $rule "for" . }}{{ end }}
{{- $labels := merge dict ($own.labels | default dict) $values.alertLabels $rule.labels }}
{{- with $own.severity }}{{ $_ := set $labels "severity" . }}{{ end }}
{{- $_ := set $rule "labels" $labels }}
{{- with $values.runbookUrl }}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s#%s" . (lower $rule.alert)) }}
{{- end }}
{{- toYaml $rule }}
{{- end }}

{{/* What is wanted of each pool, where nothing brings more workers than `replicas`. In: the root. */}}
{{- define "scriptorium.fixedWorkers" -}}
{{- $parts := list }}
{{- range $name, $_ := .Values.workers }}
{{- $worker := include "scriptorium.worker" (dict "root" $ "pool" $name) | fromYaml }}
{{- $wanted := printf "min_over_time(scriptorium_desired_workers{pool=%q}[5m])" $name }}
{{- if $worker.enabled }}{{ $parts = append $parts (printf "clamp_max(%s, %d)" $wanted (int $worker.replicas)) }}{{ end }}
{{- end }}
{{- join " or " $parts | default "min_over_time(scriptorium_desired_workers[5m])" }}
{{- end }}

{{/* The names of the pools whose workers have a GPU, as a JSON list. In: the root. */}}
{{- define "scriptorium.poolsWithGpu" -}}
{{- $names := list }}
{{- range $name := include "scriptorium.workerNames" (dict "root" . "kind" "gpu") | fromJsonArray }}
{{- $worker := include "scriptorium.worker" (dict "root" $ "pool" $name) | fromYaml }}
{{- if or $worker.gpu.count $worker.resourceClaims }}{{ $names = append $names $name }}{{ end }}
{{- end }}
{{- toJson $names }}
{{- end }}
