{{/* Environment variables. Secrets are always read from a Secret, never written into a pod. */}}

{{/* A setting's text: Helm reads every number as a float, and would write 8589934592 as 8.589934592e+09. */}}
{{- define "scriptorium.text" -}}
{{- if or (kindIs "map" .) (kindIs "slice" .) }}{{ toJson . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}
{{- else }}{{ toString . }}
{{- end }}
{{- end }}

{{/* One variable from a secret of the values; nothing if it is not set. In: root, name, secret. */}}
{{- define "scriptorium.secretVariable" -}}
{{- if or .secret.existingSecret .secret.value }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret.existingSecret | default (printf "%s-secrets" (include "scriptorium.fullname" .root)) }}
      key: {{ .secret.key }}
{{- end }}
{{- end }}

{{/* A component's user in Redis, as examples/redis/component_users.acl names it. In: component. */}}
{{- define "scriptorium.redisUser" -}}
{{- if hasSuffix "-worker" .component }}worker{{ else if hasPrefix "triggers-" .component }}triggers{{ else }}{{ .component }}{{ end }}
{{- end }}

{{/* The Secret with the authority that signed Redis's certificate; empty without TLS. In: root. */}}
{{- define "scriptorium.redisAuthority" -}}
{{- $values := .root.Values }}
{{- ternary $values.redis.tls.existingSecret $values.externalRedis.tls.existingSecret $values.redis.enabled }}
{{- end }}

{{/* Where Redis is, and its password: not in the URL, where some characters mean something else. In: root, component. */}}
{{- define "scriptorium.redisVariables" -}}
{{- $values := .root.Values }}
{{- if $values.redis.enabled }}
{{- if not (or $values.redis.password.existingSecret $values.redis.password.value) }}
{{- fail "Redis needs a password. Make one: kubectl create secret generic scriptorium-redis --from-literal=redis-password=$(openssl rand -hex 24); then set redis.password.existingSecret=scriptorium-redis." }}
{{- end }}
{{- $user := "" }}
{{- $secret := $values.redis.password }}
{{- if $values.redis.users.existingSecret }}
{{- $user = include "scriptorium.redisUser" . }}
{{- $secret = dict "existingSecret" $values.redis.users.existingSecret "key" $user }}
{{- end }}
{{- include "scriptorium.secretVariable" (dict "root" .root "name" "SCRIPTORIUM_REDIS_PASSWORD" "secret" $secret) }}
- name: SCRIPTORIUM_REDIS_URL
  value: {{ ternary "rediss" "redis" (not (empty $values.redis.tls.existingSecret)) }}://{{ with $user }}{{ . }}@{{ end }}{{ include "scriptorium.fullname" .root }}-redis:6379/0{{ if $values.redis.tls.existingSecret }}?ssl_ca_certs=/etc/redis-ca/ca.crt{{ end }}
{{- else }}
{{- $url := $values.externalRedis.url }}
{{- if not (or $url.existingSecret $url.value) }}
{{- fail "Name the Redis: set externalRedis.url.existingSecret (a Secret that holds redis://:password@host:6379/0 under externalRedis.url.key), or redis.enabled=true." }}
{{- end }}
{{- with index ($values.externalRedis.users | default dict) (include "scriptorium.redisUser" .) }}
{{- $url = mergeOverwrite (deepCopy $url) . }}
{{- end }}
{{- include "scriptorium.secretVariable" (dict "root" .root "name" "SCRIPTORIUM_REDIS_URL" "secret" $url) }}
{{- end }}
{{- include "scriptorium.secretVariable" (dict "root" .root "name" "SCRIPTORIUM_BROKER_URL" "secret" $values.externalBroker.url) }}
{{- end }}

{{/* The store's keys; none where the service account has a role. In: root. */}}
{{- define "scriptorium.storeVariables" -}}
{{- $keys := .root.Values.store.credentials }}
{{- $secret := $keys.existingSecret }}
{{- include "scriptorium.secretVariable" (dict "root" .root "name" "AWS_ACCESS_KEY_ID" "secret" (dict "existingSecret" $secret "key" $keys.accessKeyIdKey "value" $keys.accessKeyId)) }}
{{- include "scriptorium.secretVariable" (dict "root" .root "name" "AWS_SECRET_ACCESS_KEY" "secret" (dict "existingSecret" $secret "key" $keys.secretAccessKeyKey "value" $keys.secretAccessKey)) }}
{{- end }}

{{/* What every process of ours needs besides Redis. In: root, component. */}}
{{- define "scriptorium.variables" -}}
- name: SCRIPTORIUM_COMPONENT
  value: {{ .component }}
- name: SCRIPTORIUM_HEARTBEAT_FILE
  value: /tmp/heartbeat
- name: SCRIPTORIUM_METRICS_PORT
  value: "9090"
- name: SCRIPTORIUM_WORK_DIR
  value: /scratch
{{- include "scriptorium.storeVariables" . }}
{{- end }}

{{/* The pools of workers as the scaler reads them, from the same values as the pods. In: root. */}}
{{- define "scriptorium.pools" -}}
{{- $pools := dict }}
{{- range $name, $given := .root.Values.workers }}
{{- $worker := fromYaml (include "scriptorium.worker" (dict "root" $.root "pool" $name)) }}
{{- $pool := dict "kind" $worker.kind "minimum" $worker.minimum "maximum" $worker.maximum }}
{{- $_ := set $pool "concurrency" $worker.concurrency }}
{{- $_ := set $pool "target_drain_seconds" $worker.targetDrainSeconds }}
{{- $_ := set $pool "scale_down_seconds" $worker.scaleDownSeconds }}
{{- $_ := set $pool "steady_seconds" $worker.steadySeconds }}
{{- with $worker.stages }}{{ $_ := set $pool "stages" . }}{{ end }}
{{- with $worker.share }}{{ $_ := set $pool "share" . }}{{ end }}
{{- if $worker.enabled }}{{ $_ := set $pools $name $pool }}{{ end }}
{{- end }}
{{- range $name := list "cpu" "gpu" }}
{{- /* The program has these two by default. Where the chart runs none of them, it must want none. */}}
{{- if not (hasKey $pools $name) }}{{ $_ := set $pools $name (dict "minimum" 0 "maximum" 0) }}{{ end }}
{{- end }}
{{- toJson $pools }}
{{- end }}
