{{/* What goes into the ConfigMap and the Secret that all components read. */}}

{{- define "scriptorium.storeUrl" -}}
{{- $store := .root.Values.store }}
{{- if and (not $store.url) (not $store.persistence.enabled) }}
{{- fail "Set store.url to s3://bucket/prefix, or store.persistence.enabled=true for a directory on a volume." }}
{{- end }}
{{- $store.url | default "file:///store" }}
{{- end }}

{{- define "scriptorium.settings" -}}
SCRIPTORIUM_STORE_URL: {{ include "scriptorium.storeUrl" . | quote }}
SCRIPTORIUM_POOLS: {{ include "scriptorium.pools" . | quote }}
{{- with .root.Values.store.endpointUrl }}
SCRIPTORIUM_S3_ENDPOINT_URL: {{ . | quote }}
{{- end }}
{{- with .root.Values.store.region }}
AWS_DEFAULT_REGION: {{ . | quote }}
{{- end }}
{{- with .root.Values.otel.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- if and .root.Values.redis.enabled (not .root.Values.settings.maxOpenJobs) }}
{{- with include "scriptorium.openJobs" .root }}
SCRIPTORIUM_MAX_OPEN_JOBS: {{ . | quote }}
{{- end }}
{{- end }}
{{- if not (hasKey .root.Values.settings "hubSpreadSeconds") }}
SCRIPTORIUM_HUB_SPREAD_SECONDS: "30" {{/* pods of a pool start together */}}
{{- end }}
{{- range $name, $value := .root.Values.settings }}
SCRIPTORIUM_{{ $name | snakecase | upper }}: {{ include "scriptorium.text" $value | quote }}
{{- end }}
{{- end }}

{{/* A pool's variables: those of all workers, but for what its own settings say. In: root, pool. */}}
{{- define "scriptorium.poolVariables" -}}
{{- $own := dict }}
{{- range $name, $value := (fromYaml (include "scriptorium.worker" .)).settings }}
{{- $_ := set $own (printf "SCRIPTORIUM_%s" ($name | snakecase | upper)) (include "scriptorium.text" $value) }}
{{- end }}
{{- range fromYamlArray (include "scriptorium.workerVariables" .) }}
{{- if not (hasKey $own .name) }}
- {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $name, $value := $own }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Secrets that the values hold themselves. */}}
{{- define "scriptorium.secretData" -}}
{{- $values := .root.Values }}
{{- $secrets := list $values.api.key $values.api.keysSecret $values.api.webhookKey $values.api.hooksSecret $values.flower.password $values.huggingFace.token $values.externalBroker.url }}
{{- $secrets = append $secrets (ternary $values.redis.password $values.externalRedis.url $values.redis.enabled) }}
{{- $keys := $values.store.credentials }}
{{- $secrets = append $secrets (dict "existingSecret" $keys.existingSecret "key" $keys.accessKeyIdKey "value" $keys.accessKeyId) }}
{{- $secrets = append $secrets (dict "existingSecret" $keys.existingSecret "key" $keys.secretAccessKeyKey "value" $keys.secretAccessKey) }}
{{- range $secrets }}
{{- if and .value (not .existingSecret) }}
{{ .key }}: {{ .value | quote }}
{{- end }}
{{- end }}
{{- end }}
