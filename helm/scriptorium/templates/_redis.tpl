{{/* A small Redis of our own: it may be wiped, so one server is enough. */}}
{{- define "scriptorium.redisConfig" -}}
dir /data
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
{{- with .Values.redis.maxmemory }}
maxmemory {{ . }}
{{- end }}
{{- end }}
