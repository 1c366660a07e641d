{{/* The pools of workers, which `workers` names. */}}

{{/* One pool's values over the defaults of its kind. In: root, pool. */}}
{{- define "scriptorium.worker" -}}
{{- $given := index .root.Values.workers .pool }}
{{- $worker := mergeOverwrite (deepCopy (index .root.Values.workerDefaults $given.kind)) (deepCopy $given) }}
{{- if and $worker.noticeSeconds $worker.terminationGracePeriodSeconds }}
{{- if ge (int $worker.noticeSeconds) (int $worker.terminationGracePeriodSeconds) }}
{{- fail (printf "workers.%s: noticeSeconds must be less than terminationGracePeriodSeconds, or the worker is killed before it hands its units back." .pool) }}
{{- end }}
{{- else if $worker.noticeSeconds }}
{{- /* It has handed back and ended by then; no machine waits longer. */}}
{{- $_ := set $worker "terminationGracePeriodSeconds" (add (int $worker.noticeSeconds) 5) }}
{{- else if not $worker.terminationGracePeriodSeconds }}
{{- /* A unit past its deadline ends its process itself; until then it is given time. */}}
{{- $deadline := (($worker.settings | default dict).deadlineFloorSeconds) | default .root.Values.settings.deadlineFloorSeconds | default 600 }}
{{- $_ := set $worker "terminationGracePeriodSeconds" (ternary (add (ceil $deadline | int) 60) 60 (eq $worker.kind "gpu")) }}
{{- end }}
{{- /* A pool with resourceClaims has its device from them; the device plugin is asked for none. */}}
{{- if and (eq $worker.kind "gpu") $worker.gpu.count (not $worker.resourceClaims) }}
{{- $gpu := dict $worker.gpu.resourceName (int $worker.gpu.count) }}
{{- $_ := set $worker.resources "limits" (mergeOverwrite ($worker.resources.limits | default dict) $gpu) }}
{{- end }}
{{- toYaml $worker }}
{{- end }}

{{/* The names of the pools of a kind, as a JSON list. In: root, kind. */}}
{{- define "scriptorium.workerNames" -}}
{{- $names := list }}
{{- range $name, $worker := .root.Values.workers }}
{{- if and (eq $worker.kind $.kind) (dig "enabled" true $worker) }}{{ $names = append $names $name }}{{ end }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{/* A pool's image, of all its containers. In: root, values. */}}
{{- define "scriptorium.workerImage" -}}
{{- $image := deepCopy .root.Values.images.gpuWorker }}
{{- $own := list (.values.image | default dict) }}
{{- /* Of the stages of CPU workers `diarize` alone needs torch, which the small image has not. */}}
{{- if and (eq .values.kind "cpu") .values.stages (not (has "diarize" .values.stages)) }}
{{- $own = prepend $own .root.Values.images.cpuWorker }}
{{- end }}
{{- range $keys := $own }}
{{- /* A digest is of one repository's image alone. */}}
{{- if $keys.repository }}{{ $_ := set $image "digest" "" }}{{ end }}
{{- $image = mergeOverwrite $image (deepCopy $keys) }}
{{- end }}
{{- toYaml $image }}
{{- end }}

{{/* A pool's Deployment. In: root, pool. */}}
{{- define "scriptorium.workerDeployment" -}}
{{- $worker := fromYaml (include "scriptorium.worker" .) }}
{{- $waits := fromYamlArray (include "scriptorium.prefetchWait" (dict "root" .root "pool" .pool "values" $worker)) }}
{{- $_ := set $worker "initContainers" (concat $waits ($worker.initContainers | default list)) }}
{{- $component := printf "%s-worker" $worker.kind }}
{{- $scope := dict "root" .root "component" $component "pool" .pool }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "scriptorium.metadata" (merge (dict "name" (include "scriptorium.workerName" .) "values" $worker) $scope) | nindent 2 }}
spec:
  {{- if not .root.Values.keda.enabled }}
  replicas: {{ int $worker.replicas }}
  {{- end }}
  {{- include "scriptorium.rollout" (dict "root" .root "values" $worker) | trim | nindent 2 }}
  # A worker that ends finishes its chunk first: that is no lack of progress.
  progressDeadlineSeconds: {{ add (int $worker.terminationGracePeriodSeconds) 1200 }}
  selector:
    matchLabels:
      {{- include "scriptorium.selector" $scope | nindent 6 }}
  # Old and new workers may run side by side in any order: messages hold ids only, and artifacts are
  # written once. One may be missing for a while: a new worker may need the GPU of an old one.
  strategy:
    {{- toYaml $worker.strategy | nindent 4 }}
  template:
    {{- include "scriptorium.pod" (merge (dict
      "group" (printf "%sWorker" $worker.kind)
      "values" $worker
      "image" (fromYaml (include "scriptorium.workerImage" (dict "root" .root "values" $worker)))
      "volumes" (include "scriptorium.workerVolumes" .)
      "container" (dict
        "name" "worker"
        "args" (list "worker" "--pool" .pool "--name" (printf "%s@$(POD_NAME)" .pool))
        "env" (include "scriptorium.poolVariables" .)
        "probes" (include "scriptorium.heartbeatProbes" .)
        "mounts" "- {name: models, mountPath: /models}")
      ) (dict "root" .root "component" $component "pool" .pool)) | trim | nindent 4 }}
{{- end }}

{{- define "scriptorium.workerVariables" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
# What the metrics of GPUs call the machine.
- name: SCRIPTORIUM_NODE
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- if not .root.Values.settings.cpuThreads }}
# Else a model would start a thread for each core of the node.
- name: SCRIPTORIUM_CPU_THREADS
  valueFrom:
    resourceFieldRef:
      resource: requests.cpu
      divisor: "1"
{{- end }}
{{- $worker := fromYaml (include "scriptorium.worker" .) }}
{{- if and (eq $worker.kind "gpu") (not .root.Values.settings.device) }}
# Said, so that a GPU without a driver is an error, and no slow worker on the CPU that nothing tells of.
- name: SCRIPTORIUM_DEVICE
  value: {{ ternary "cpu" "cuda" (and (not $worker.gpu.count) (not $worker.resourceClaims)) }}
{{- end }}
{{- with $worker.noticeSeconds }}
- name: SCRIPTORIUM_NOTICE_SECONDS
  value: {{ int . | quote }}
{{- end }}
{{- include "scriptorium.secretVariable" (dict "root" .root "name" "HF_TOKEN" "secret" .root.Values.huggingFace.token) }}
{{- end }}

{{/* Mounted at /models: HF_HOME and SCRIPTORIUM_MODEL_DIR of the image. */}}
{{- define "scriptorium.workerVolumes" -}}
- name: models
  {{- include "scriptorium.modelVolume" . | trim | nindent 2 }}
{{- end }}

{{/* What makes KEDA apply the number that the reconciler decided. In: root, pool. */}}
{{- define "scriptorium.workerScaledObject" -}}
{{- $worker := fromYaml (include "scriptorium.worker" .) }}
{{- $keda := mergeOverwrite (deepCopy .root.Values.keda) ($worker.keda | default dict) }}
{{- $fullname := include "scriptorium.fullname" .root }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "scriptorium.metadata" (dict "root" .root "component" (printf "%s-worker" $worker.kind) "pool" .pool "name" (include "scriptorium.workerName" .) "annotations" $keda.annotations) | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ include "scriptorium.workerName" . }}
  pollingInterval: {{ int $keda.pollingInterval }}
  cooldownPeriod: {{ int $keda.cooldownPeriod }}
  minReplicaCount: {{ int $worker.minimum }}
  maxReplicaCount: {{ int $worker.maximum }}
  # Without an answer no worker that may be busy is stopped. Below 1 KEDA would stop them all.
  fallback:
    failureThreshold: {{ int $keda.fallback.failureThreshold }}
    replicas: {{ max 1 (int $worker.minimum) (int $keda.fallback.replicas) }}
    behavior: {{ $keda.fallback.behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml $keda.behavior | nindent 8 }}
  triggers:
    # The answer is a number of workers: one for each 1 of it.
    - type: metrics-api
      metricType: AverageValue
      metadata:
        url: http://{{ $fullname }}-api-internal.{{ .root.Release.Namespace }}.svc:9090/v1/autoscale/{{ .pool }}
        format: json
        valueLocation: desired
        targetValue: "1"
        activationTargetValue: "0"
{{- end }}

{{/* In: root, component, pool, name, budget. */}}
{{- define "scriptorium.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "scriptorium.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .budget.maxUnavailable }}
  {{- if semverCompare ">=1.27.0-0" (include "scriptorium.kubeVersion" .root) }}
  # A pod that is not ready, such as a worker without its driver, must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  {{- end }}
  selector:
    matchLabels:
      {{- include "scriptorium.selector" . | nindent 6 }}
{{- end }}
