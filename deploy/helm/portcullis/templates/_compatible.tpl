{{/*
Templates of the ingress-nginx chart by name: values of its users (affinity, topologySpreadConstraints, hostAliases,
config) may include them.
*/}}

{{- define "ingress-nginx.name" -}}{{ include "portcullis.name" . }}{{- end -}}
{{- define "ingress-nginx.fullname" -}}{{ include "portcullis.fullname" . }}{{- end -}}
{{- define "ingress-nginx.namespace" -}}{{ include "portcullis.namespace" . }}{{- end -}}
{{- define "ingress-nginx.labels" -}}{{ include "portcullis.labels" . }}{{- end -}}
{{- define "ingress-nginx.selectorLabels" -}}{{ include "portcullis.selectorLabels" . }}{{- end -}}
{{- define "ingress-nginx.controller.fullname" -}}{{ include "portcullis.controller.fullname" . }}{{- end -}}
{{- define "ingress-nginx.defaultBackend.fullname" -}}{{ include "portcullis.defaultBackend.fullname" . }}{{- end -}}
{{- define "ingress-nginx.serviceAccountName" -}}{{ include "portcullis.serviceAccountName" . }}{{- end -}}
