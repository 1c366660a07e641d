{{/* What only the orchestrator's components need. */}}

{{- define "scriptorium.apiVariables" -}}
{{- if .Values.api.allowAnonymous }}
- name: SCRIPTORIUM_ALLOW_ANONYMOUS
  value: "true"
{{- end }}
{{- include "scriptorium.secretVariable" (dict "root" . "name" "SCRIPTORIUM_API_KEY" "secret" .Values.api.key) }}
{{- include "scriptorium.secretVariable" (dict "root" . "name" "SCRIPTORIUM_KEYS_SECRET" "secret" .Values.api.keysSecret) }}
{{- include "scriptorium.webhookVariables" . }}
{{- include "scriptorium.secretVariable" (dict "root" . "name" "SCRIPTORIUM_HOOKS_SECRET" "secret" .Values.api.hooksSecret) }}
{{- include "scriptorium.rulesVariables" . }}
{{- end }}

{{/* The reconciler sends webhooks and signs them as the API said it would. */}}
{{- define "scriptorium.webhookVariables" -}}
{{- include "scriptorium.secretVariable" (dict "root" . "name" "SCRIPTORIUM_WEBHOOK_KEY" "secret" .Values.api.webhookKey) }}
{{- end }}

{{/* The Celery trigger accepts webhooks where there is a key, and does not get the key itself. */}}
{{- define "scriptorium.messagesVariables" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- if or .Values.api.webhookKey.existingSecret .Values.api.webhookKey.value }}
- name: SCRIPTORIUM_SENDS_WEBHOOKS
  value: "true"
{{- end }}
{{- end }}

{{/* "localhost" is a name that the API answers to whatever keys there are. */}}
{{- define "scriptorium.apiProbes" -}}
{{- $header := list (dict "name" "Host" "value" "localhost") }}
startupProbe:
  httpGet: {path: /healthz, port: http, httpHeaders: {{ toJson $header }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http, httpHeaders: {{ toJson $header }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
# The process, not Redis and the store: else a short outage of these would take every pod out of the
# Service at once, and with them what KEDA asks. /readyz looks at all of them, for `helm test` and people.
readinessProbe:
  httpGet: {path: /healthz, port: http, httpHeaders: {{ toJson $header }}}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* The ConfigMap with the rules of triggers; empty if there are none. */}}
{{- define "scriptorium.rulesName" -}}
{{- if or .Values.triggers.rules .Values.triggers.existingRules }}
{{- .Values.triggers.existingRules | default (printf "%s-rules" (include "scriptorium.fullname" .)) }}
{{- end }}
{{- end }}

{{- define "scriptorium.rulesVariables" -}}
{{- if include "scriptorium.rulesName" . }}
- name: SCRIPTORIUM_TRIGGER_RULES
  value: /etc/scriptorium/rules.toml
{{- end }}
{{- end }}

{{- define "scriptorium.rulesMount" -}}
{{- if include "scriptorium.rulesName" . }}
- {name: rules, mountPath: /etc/scriptorium, readOnly: true}
{{- end }}
{{- end }}

{{- define "scriptorium.rulesVolume" -}}
{{- with include "scriptorium.rulesName" . }}
- name: rules
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}

{{- define "scriptorium.flowerVariables" -}}
{{- include "scriptorium.secretVariable" (dict "root" . "name" "FLOWER_PASSWORD" "secret" .Values.flower.password) }}
- name: FLOWER_BASIC_AUTH
  value: scriptorium:$(FLOWER_PASSWORD)
{{- end }}

{{- define "scriptorium.flowerProbes" -}}
startupProbe:
  httpGet: {path: /healthcheck, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthcheck, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /healthcheck, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}
