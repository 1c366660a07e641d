{{/* The pods of our own processes, which are all alike. */}}

{{/* A component's values over those of every pod; lists of extra things are put together. In: root, values. */}}
{{- define "scriptorium.podValues" -}}
{{- $all := .root.Values }}
{{- $pod := dict }}
{{- range list "podAnnotations" "podLabels" "nodeSelector" "podSecurityContext" "securityContext" "affinity" "dnsConfig" }}
{{- $_ := set $pod . (mergeOverwrite (deepCopy (index $all .)) (index $.values . | default dict)) }}
{{- end }}
{{- range list "tolerations" "topologySpreadConstraints" "extraEnv" "extraEnvFrom" "extraVolumes" "extraVolumeMounts" "hostAliases" "initContainers" "extraContainers" }}
{{- $_ := set $pod . (concat (index $all .) (index $.values . | default list)) }}
{{- end }}
{{- range list "priorityClassName" "schedulerName" "dnsPolicy" }}
{{- $_ := set $pod . (index $.values . | default (index $all .)) }}
{{- end }}
{{- toYaml $pod }}
{{- end }}

{{/* Where a pod runs, and what a pod has besides its containers and volumes. In: root, pod, values, component, pool. */}}
{{- define "scriptorium.scheduling" -}}
{{- range $field := list "schedulerName" "dnsPolicy" }}
{{- with index $.pod $field }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- range $field := list "dnsConfig" "hostAliases" "initContainers" }}
{{- with index $.pod $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .values.resourceClaims }}
resourceClaims:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $spread := .pod.topologySpreadConstraints | default list }}
{{- if and (not $spread) (has .component (list "api" "reconciler")) }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- $spread = append $spread (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway") }}
{{- end }}
{{- end }}
{{- with $spread }}
topologySpreadConstraints:
  {{- range . }}
  - {{- toYaml (merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" (fromYaml (include "scriptorium.selector" $))))) | nindent 4 }}
  {{- end }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end }}

{{/* How often a Deployment is kept, and when a pod of it counts as there. In: root, values. */}}
{{- define "scriptorium.rollout" -}}
{{- range $field := list "revisionHistoryLimit" "minReadySeconds" }}
{{- $own := index $.values $field }}
{{ $field }}: {{ int (ternary (index $.root.Values $field) $own (kindIs "invalid" $own)) }}
{{- end }}
{{- end }}

{{/*
A container's probes with what the values say otherwise: keys are merged over ours, another handler
(exec, httpGet, tcpSocket, grpc) replaces ours, false leaves the probe out. In: values, probes.
*/}}
{{- define "scriptorium.probes" -}}
{{- $probes := fromYaml .probes }}
{{- range $name := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- $given := index $.values $name }}
{{- if kindIs "bool" $given }}
{{- $_ := unset $probes $name }}
{{- else if $given }}
{{- $ours := index $probes $name }}
{{- range $handler := list "exec" "httpGet" "tcpSocket" "grpc" }}
{{- if hasKey $given $handler }}{{ $ours = omit $ours "exec" "httpGet" "tcpSocket" "grpc" }}{{ end }}
{{- end }}
{{- $_ := set $probes $name (mergeOverwrite (deepCopy $ours) $given) }}
{{- end }}
{{- end }}
{{- with $probes }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Requests and limits; the container claims each device that its pod claims. In: values. */}}
{{- define "scriptorium.claimedResources" -}}
{{- $resources := deepCopy .values.resources }}
{{- if and .values.resourceClaims (not $resources.claims) }}
{{- $claims := list }}
{{- range .values.resourceClaims }}{{ $claims = append $claims (dict "name" .name) }}{{ end }}
{{- $_ := set $resources "claims" $claims }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{/* The process touches its heartbeat file while it does its work, and also while a model loads. In: values. */}}
{{- define "scriptorium.heartbeatProbes" -}}
{{- $exec := dict "command" (list "/bin/sh" "-c" "find /tmp/heartbeat -mmin -2 | grep -q .") }}
startupProbe:
  exec: {{ toJson $exec }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 120
livenessProbe:
  exec: {{ toJson $exec }}
  periodSeconds: 30
  timeoutSeconds: 10
  # A worker has no heartbeat while its broker is away. Ten minutes of that must not cost the
  # models that it has loaded; one that hangs in its work is ended by its own watchdog.
  failureThreshold: 20
readinessProbe:
  exec: {{ toJson $exec }}
  periodSeconds: 30
  timeoutSeconds: 10
{{- end }}

{{/*
A Deployment's pod template.
In: root, component, pool, group (service account; none: no rights), values, image, container
(name, args or command, lifecycle; ports, probes, env, mounts as YAML text), volumes, looksOn: it sees
the broker only, neither the store nor the settings.
*/}}
{{- define "scriptorium.pod" -}}
{{- if .values.resourceClaims }}
{{- $_ := set . "values" (merge (dict "resources" (fromYaml (include "scriptorium.claimedResources" .))) .values) }}
{{- end }}
{{- $root := .root }}
{{- $pod := fromYaml (include "scriptorium.podValues" .) }}
{{- $scope := merge (dict "pod" $pod) . }}
{{- $directories := list (dict "name" "tmp" "emptyDir" (dict "sizeLimit" "1Gi")) (dict "name" "scratch" "emptyDir" (dict "sizeLimit" .values.scratchSizeLimit)) }}
{{- $disk := concat $directories (fromYamlArray (.volumes | default "[]") | default list) }}
{{- $storeIsHere := and $root.Values.store.persistence.enabled (not .looksOn) }}
metadata:
  # No version among them: a new chart with the same pods starts none again.
  labels:
    {{- include "scriptorium.selector" . | nindent 4 }}
    {{- with $root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $pod.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/settings: {{ include "scriptorium.settings" . | sha256sum }}
    checksum/secrets: {{ include "scriptorium.secretData" . | sha256sum }}
    {{- with .checksum }}
    checksum/rules: {{ sha256sum . }}
    {{- end }}
    {{- $evictable := "cluster-autoscaler.kubernetes.io/safe-to-evict" }}
    {{- if and (or (ne .component "gpu-worker") .values.noticeSeconds) (not (hasKey $pod.podAnnotations $evictable)) }}
    # Its emptyDirs hold nothing that matters. A GPU worker without a notice would first finish its chunk.
    {{ $evictable }}: "true"
    {{- end }}
    {{- with $pod.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if .values.serviceAccountName }}
  serviceAccountName: {{ .values.serviceAccountName }}
  {{- else if .group }}
  serviceAccountName: {{ include "scriptorium.serviceAccountName" (dict "root" $root "group" .group) }}
  {{- end }}
  automountServiceAccountToken: false
  # Kubernetes would set SCRIPTORIUM_API_PORT=tcp://… for a Service of that name, which is a setting.
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $pod.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ int .values.terminationGracePeriodSeconds }}
  {{- with include "scriptorium.scheduling" $scope }}
  {{- . | trim | nindent 2 }}
  {{- end }}
  containers:
    - name: {{ .container.name }}
      image: {{ include "scriptorium.image" (dict "root" $root "image" .image) }}
      imagePullPolicy: {{ .image.pullPolicy }}
      {{- with .container.command }}
      command: {{ toJson . }}
      {{- end }}
      {{- with .container.args }}
      args: {{ toJson . }}
      {{- end }}
      {{- with .container.lifecycle }}
      lifecycle: {{ toJson . }}
      {{- end }}
      env:
        - {name: HOME, value: /tmp}
        {{- include "scriptorium.redisVariables" . | trim | nindent 8 }}
        {{- if not .looksOn }}
        {{- include "scriptorium.variables" . | trim | nindent 8 }}
        {{- end }}
        {{- with .container.env }}
        {{- . | trim | nindent 8 }}
        {{- end }}
        {{- with $pod.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if or (not .looksOn) $pod.extraEnvFrom }}
      envFrom:
        {{- if not .looksOn }}
        - configMapRef:
            name: {{ include "scriptorium.fullname" $root }}-settings
        {{- end }}
        {{- with $pod.extraEnvFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      ports:
        {{- with .container.ports }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- if not .looksOn }}
        - {name: metrics, containerPort: 9090}
        {{- end }}
      {{- with include "scriptorium.probes" (dict "values" .values "probes" .container.probes) }}
      {{- . | nindent 6 }}
      {{- end }}
      resources:
        {{- include "scriptorium.resources" (dict "resources" .values.resources "volumes" (concat $disk ($pod.extraVolumes | default list))) | nindent 8 }}
      securityContext:
        {{- toYaml $pod.securityContext | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: scratch, mountPath: /scratch}
        {{- if include "scriptorium.redisAuthority" . }}
        - {name: redis-ca, mountPath: /etc/redis-ca, readOnly: true}
        {{- end }}
        {{- if $storeIsHere }}
        - {name: store, mountPath: /store}
        {{- end }}
        {{- with .container.mounts }}
        {{- . | trim | nindent 8 }}
        {{- end }}
        {{- with $pod.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $pod.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- toYaml $directories | nindent 4 }}
    {{- with include "scriptorium.redisAuthority" . }}
    - name: redis-ca
      secret:
        secretName: {{ . }}
        items: [{key: ca.crt, path: ca.crt}]
    {{- end }}
    {{- if $storeIsHere }}
    - name: store
      persistentVolumeClaim:
        claimName: {{ $root.Values.store.persistence.existingClaim | default (printf "%s-store" (include "scriptorium.fullname" $root)) }}
    {{- end }}
    {{- with .volumes }}
    {{- . | trim | nindent 4 }}
    {{- end }}
    {{- with $pod.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
