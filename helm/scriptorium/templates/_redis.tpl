{{/* A small Redis of our own: it may be wiped, so one server is enough. */}}
{{- define "scriptorium.redisConfig" -}}
dir /data
port 6379
protected-mode no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
{{- with .Values.redis.maxmemory }}
maxmemory {{ . }}
{{- end }}
{{- end }}
