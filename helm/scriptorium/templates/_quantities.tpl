{{/* Quantities of Kubernetes in whole numbers, for what is worked out from other values. */}}

{{/* A quantity of bytes, such as 1.5Gi or 900M, as a number. */}}
{{- define "scriptorium.bytes" -}}
{{- $text := toString . }}
{{- $number := regexFind "^[0-9.]+" $text }}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $unit := trimPrefix $number $text }}
{{- if not (hasKey $units $unit) }}
{{- fail (printf "%s: write bytes with k, M, G, T, Ki, Mi, Gi or Ti." $text) }}
{{- end }}
{{- mulf (float64 $number) (float64 (get $units $unit)) | int64 }}
{{- end }}

{{/*
What a pod may write to its node's disk: the emptyDirs that its volumes name, and 1 GiB of logs. Nothing
if one of them has no limit. In: volumes.
*/}}
{{- define "scriptorium.diskLimit" -}}
{{- $bytes := 1073741824 }}
{{- $isBounded := true }}
{{- range .volumes }}
{{- if hasKey . "emptyDir" }}
{{- $directory := .emptyDir | default dict }}
{{- if eq (toString $directory.medium) "Memory" }}
{{- else if $directory.sizeLimit }}{{ $bytes = add $bytes (include "scriptorium.bytes" $directory.sizeLimit | int64) }}
{{- else }}{{ $isBounded = false }}
{{- end }}
{{- end }}
{{- end }}
{{- if $isBounded }}{{ printf "%dMi" (div $bytes 1048576) }}{{ end }}
{{- end }}

{{/* A container's resources, with the limit of the disk unless it has one. In: resources, volumes. */}}
{{- define "scriptorium.resources" -}}
{{- $resources := deepCopy (.resources | default dict) }}
{{- $limits := $resources.limits | default dict }}
{{- with include "scriptorium.diskLimit" . }}
{{- if not (hasKey $limits "ephemeral-storage") }}
{{- $_ := set $resources "limits" (set $limits "ephemeral-storage" .) }}
{{- end }}
{{- end }}
{{- toYaml $resources }}
{{- end }}
