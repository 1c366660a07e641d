{{/* Names and labels. */}}

{{- define "scriptorium.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 31 | trimSuffix "-" }}
{{- end }}

{{/* 31 characters at most: with "-worker-" and a pool's name it still fits into a label. */}}
{{- define "scriptorium.fullname" -}}
{{- $name := include "scriptorium.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 31 | trimSuffix "-" }}
{{- end }}

{{/* The cluster's version, or the one that the values name: what renders may not know the cluster. */}}
{{- define "scriptorium.kubeVersion" -}}
{{- default .Capabilities.KubeVersion.Version .Values.kubeVersion }}
{{- end }}

{{/* Of a pool's Deployment. In: root, pool. */}}
{{- define "scriptorium.workerName" -}}
{{- printf "%s-worker-%s" (include "scriptorium.fullname" .root) .pool }}
{{- end }}

{{/* What finds the pods of a component; never changes between versions. In: root, component, pool. */}}
{{- define "scriptorium.selector" -}}
app.kubernetes.io/name: {{ include "scriptorium.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .pool }}
pool: {{ . }}
{{- end }}
{{- end }}

{{- define "scriptorium.labels" -}}
{{ include "scriptorium.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
metadata of an object; the labels come last, so that a template may add some.
In: root, name, component, pool, annotations; values: of the component whose Deployment it is.
*/}}
{{- define "scriptorium.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
{{- $annotations := merge (dict) (.annotations | default dict) }}
{{- with .values }}
{{- $annotations = merge $annotations (.deploymentAnnotations | default dict) $.root.Values.deploymentAnnotations }}
{{- end }}
{{- with merge $annotations .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
labels:
  {{- include "scriptorium.labels" . | nindent 2 }}
{{- end }}

{{/* An image's name. In: root, image. */}}
{{- define "scriptorium.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry }}
{{- if eq $registry "registry.example.com" }}
{{- fail "Set images.orchestrator.registry and images.gpuWorker.registry (or global.imageRegistry) to where you pushed the images; docs/deploy.md says how they are built." }}
{{- end }}
{{- $path := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) }}
{{- if .image.digest }}
{{- printf "%s@%s" $path .image.digest }}
{{- else }}
{{- printf "%s:%s" $path (.image.tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* Of a group of components. In: root, group. */}}
{{- define "scriptorium.serviceAccountName" -}}
{{- $account := index .root.Values.serviceAccounts .group }}
{{- $name := printf "%s-%s" (include "scriptorium.fullname" .root) (kebabcase .group) }}
{{- ternary (default $name $account.name) (default "default" $account.name) $account.create }}
{{- end }}
