{{/* A small Redis of our own: it may be wiped, so one server is enough. */}}
{{- define "scriptorium.redisConfig" -}}
dir /data
# Every address of IPv4, and of IPv6 where there is one.
bind * -::*
{{- if .Values.redis.tls.existingSecret }}
port 0
tls-port 6379
tls-cert-file /etc/redis-tls/tls.crt
tls-key-file /etc/redis-tls/tls.key
tls-ca-cert-file /etc/redis-tls/ca.crt
tls-auth-clients no
{{- else }}
port 6379
{{- end }}
protected-mode no
appendonly yes
{{- range .Values.redis.extraConfig }}
{{ . }}
{{- end }}
appendfsync everysec
save ""
maxmemory-policy noeviction
{{- with include "scriptorium.redisBytes" . }}
maxmemory {{ . }}
{{- end }}
{{- end }}

{{/*
What Redis may hold, in bytes: redis.maxmemory, or three quarters of its container's memory. The rest is for
its clients, and for pages that change while its append-only file is written anew. Empty: no limit.
*/}}
{{- define "scriptorium.redisBytes" -}}
{{- $limit := dig "limits" "memory" "" (.Values.redis.resources | default dict) }}
{{- if .Values.redis.maxmemory }}
{{- $units := dict "" 1 "k" 1000 "m" 1000000 "g" 1000000000 "kb" 1024 "mb" 1048576 "gb" 1073741824 }}
{{- $number := regexFind "^[0-9]+" .Values.redis.maxmemory }}
{{- $bytes := mul (int64 $number) (get $units (trimPrefix $number .Values.redis.maxmemory) | int64) }}
{{- /* Redis takes 0 for no limit. */}}
{{- if $bytes }}{{ $bytes }}{{ end }}
{{- else if $limit }}
{{- div (mul 3 (include "scriptorium.bytes" $limit | int64)) 4 }}
{{- end }}
{{- end }}

{{/*
The disk for its append-only file, which while it is written anew is up to three times as large as what Redis
holds; and a quarter more.
*/}}
{{- define "scriptorium.redisDisk" -}}
{{- $bytes := include "scriptorium.redisBytes" . | default 4294967296 | int64 }}
{{- .Values.redis.dataSizeLimit | default (printf "%dMi" (div (mul 4 $bytes) 1048576)) }}
{{- end }}

{{/*
How many open jobs Redis has room for: 32 KiB each, as measured with 20 chunks whose messages all wait
(python -m benchmarks.cluster.redis_memory), in three quarters of what it may hold; the rest is for jobs
that ended on the last day, leases and events.
*/}}
{{- define "scriptorium.openJobs" -}}
{{- with include "scriptorium.redisBytes" . }}
{{- max 1 (div (mul 3 (int64 .)) (mul 4 32768)) }}
{{- end }}
{{- end }}
