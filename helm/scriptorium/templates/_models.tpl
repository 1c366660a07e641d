{{/* Where workers keep models, and the Job that fetches them beforehand. */}}

{{/* A pool's model cache: its own keys over `modelCache`. In: root, pool; no pool: the cache of all. */}}
{{- define "scriptorium.modelCache" -}}
{{- $cache := deepCopy .root.Values.modelCache }}
{{- $own := dict }}
{{- with .pool }}{{ $own = (index $.root.Values.workers .).modelCache | default dict }}{{ end }}
{{- $cache = mergeOverwrite $cache (deepCopy $own) }}
{{- /* A pool that says something of a claim has one of its own. */}}
{{- $name := printf "%s-models" (include "scriptorium.fullname" .root) }}
{{- $_ := set $cache "isOwn" (not (empty $own.persistence)) }}
{{- $_ := set $cache "claim" (ternary (printf "%s-%s" $name .pool) $name $cache.isOwn) }}
{{- if and $cache.prefetch.models (not $cache.persistence.enabled) }}
{{- fail "modelCache.prefetch fills a claim that workers share: set modelCache.persistence.enabled=true, or use an image with models inside (docs/models.md)." }}
{{- end }}
{{- toYaml $cache }}
{{- end }}

{{/* The source of the volume `models`. In: root, pool. */}}
{{- define "scriptorium.modelVolume" -}}
{{- $cache := fromYaml (include "scriptorium.modelCache" .) }}
{{- if $cache.volume }}
{{- toYaml $cache.volume }}
{{- else if $cache.persistence.enabled }}
persistentVolumeClaim:
  claimName: {{ $cache.persistence.existingClaim | default $cache.claim }}
{{- else }}
emptyDir:
  sizeLimit: {{ $cache.sizeLimit }}
{{- end }}
{{- end }}

{{/* The caches that are claims, as a JSON map from a pool's name, or "" for that of all, to the cache. In: root. */}}
{{- define "scriptorium.modelCaches" -}}
{{- $caches := dict }}
{{- range $pool := prepend (keys .root.Values.workers | sortAlpha) "" }}
{{- $cache := fromYaml (include "scriptorium.modelCache" (dict "root" $.root "pool" $pool)) }}
{{- $isOn := or (not $pool) (dig "enabled" true (index $.root.Values.workers $pool | default dict)) }}
{{- if and $cache.persistence.enabled (not $cache.volume) $isOn (or (not $pool) $cache.isOwn) }}
{{- $_ := set $caches $pool $cache }}
{{- end }}
{{- end }}
{{- toJson $caches }}
{{- end }}

{{/* What tells one list of models from another, in the name of the file that says they are there. In: cache. */}}
{{- define "scriptorium.prefetchDigest" -}}
{{- toJson .cache.prefetch.models | sha256sum | trunc 8 }}
{{- end }}

{{/* The container that fetches models, or waits until another has. In: root, image, values, name, script, words. */}}
{{- define "scriptorium.modelContainer" -}}
{{- $pod := fromYaml (include "scriptorium.podValues" .) }}
name: {{ .name }}
image: {{ include "scriptorium.image" (dict "root" .root "image" .image) }}
imagePullPolicy: {{ .image.pullPolicy }}
command: ["/bin/sh", "-c", {{ .script | quote }}, {{ .name }}]
{{- with .words }}
args: {{ toJson . }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- toYaml $pod.securityContext | nindent 2 }}
{{- end }}

{{/*
Until its models are there, a worker waits: a hundred new pods would all ask the hub for them. As a list
of containers, empty without prefetch. In: root, pool, values.
*/}}
{{- define "scriptorium.prefetchWait" -}}
{{- $cache := fromYaml (include "scriptorium.modelCache" .) }}
{{- if and $cache.prefetch.models (not $cache.volume) }}
{{- $mark := printf "/models/.prefetched-%s" (include "scriptorium.prefetchDigest" (dict "cache" $cache)) }}
- {{ include "scriptorium.modelContainer" (dict
    "root" .root
    "image" (fromYaml (include "scriptorium.workerImage" .))
    "values" .values
    "name" "wait-for-models"
    "script" (printf "until [ -e %s ]; do echo 'waiting for the Job that fetches models'; sleep 5; done" $mark)
    "resources" (dict "requests" (dict "cpu" "10m" "memory" "16Mi") "limits" (dict "memory" "64Mi"))
  ) | nindent 2 | trim }}
  volumeMounts:
    - {name: models, mountPath: /models, readOnly: true}
{{- end }}
{{- end }}

{{/* The pod that fills a claim. In: root, cache. */}}
{{- define "scriptorium.prefetchPod" -}}
{{- $digest := include "scriptorium.prefetchDigest" . }}
{{- $scope := dict "root" .root "component" "models" "values" .cache.prefetch }}
{{- $pod := fromYaml (include "scriptorium.podValues" $scope) }}
metadata:
  labels:
    {{- include "scriptorium.selector" $scope | nindent 4 }}
    {{- with .root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $pod.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $pod.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: OnFailure
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $pod.podSecurityContext | nindent 4 }}
  {{- with include "scriptorium.scheduling" (merge (dict "pod" $pod) $scope) }}
  {{- . | trim | nindent 2 }}
  {{- end }}
  containers:
    - {{ include "scriptorium.modelContainer" (dict
        "root" .root
        "image" .root.Values.images.gpuWorker
        "values" .cache.prefetch
        "name" "models"
        "script" (printf "scriptorium models pull \"$@\" && touch /models/.prefetched-%s" $digest)
        "words" .cache.prefetch.models
        "resources" .cache.prefetch.resources
      ) | nindent 6 | trim }}
      env:
        - {name: HOME, value: /tmp}
        {{- include "scriptorium.secretVariable" (dict "root" .root "name" "HF_TOKEN" "secret" .root.Values.huggingFace.token) | trim | nindent 8 }}
        {{- with $pod.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $pod.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: models, mountPath: /models}
        {{- with $pod.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    - name: models
      persistentVolumeClaim:
        claimName: {{ .cache.persistence.existingClaim | default .cache.claim }}
    {{- with $pod.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Fills a claim once. A Job cannot be changed, so its name tells one pod from another. In: root, cache. */}}
{{- define "scriptorium.prefetchJob" -}}
{{- $pod := include "scriptorium.prefetchPod" . }}
{{- $name := printf "%s-%s" (trunc 54 .cache.claim) (sha256sum $pod | trunc 8) }}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "scriptorium.metadata" (dict "root" .root "component" "models" "name" $name "values" .cache.prefetch) | nindent 2 }}
spec:
  backoffLimit: 6
  template:
    {{- $pod | trim | nindent 4 }}
{{- end }}
