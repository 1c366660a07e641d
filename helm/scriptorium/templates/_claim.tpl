{{/* A PersistentVolumeClaim's spec. In: storageClass, accessModes, size. */}}
{{- define "scriptorium.claim" -}}
accessModes: {{ toJson .accessModes }}
{{- with .storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end }}
