{{/* What a PodDisruptionBudget allows; maxUnavailable goes before minAvailable. */}}
{{- define "portcullis.disruption" -}}
{{- if hasKey . "maxUnavailable" -}}
maxUnavailable: {{ .maxUnavailable }}
{{- else -}}
minAvailable: {{ .minAvailable }}
{{- end }}
{{- with .unhealthyPodEvictionPolicy }}
unhealthyPodEvictionPolicy: {{ . }}
{{- end }}
{{- end -}}

{{/* Spec of a HorizontalPodAutoscaler. Takes name of the Deployment, autoscaling, more (metrics). */}}
{{- define "portcullis.autoscaler" -}}
scaleTargetRef:
  apiVersion: apps/v1
  kind: Deployment
  name: {{ .name }}
minReplicas: {{ .autoscaling.minReplicas }}
maxReplicas: {{ .autoscaling.maxReplicas }}
metrics:
  {{- range $resource, $target := dict "cpu" .autoscaling.targetCPUUtilizationPercentage "memory" .autoscaling.targetMemoryUtilizationPercentage }}
  {{- if $target }}
  - type: Resource
    resource:
      name: {{ $resource }}
      target:
        type: Utilization
        averageUtilization: {{ $target }}
  {{- end }}
  {{- end }}
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .autoscaling.behavior }}
behavior:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
