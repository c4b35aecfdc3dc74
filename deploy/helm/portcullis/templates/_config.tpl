{{/* Data of the global ConfigMap. */}}
{{- define "portcullis.config" -}}
{{- if .Values.controller.allowSnippetAnnotations }}
allow-snippet-annotations: "true"
{{- end }}
{{- if .Values.controller.addHeaders }}
add-headers: {{ include "portcullis.namespace" . }}/{{ include "portcullis.fullname" . }}-custom-add-headers
{{- end }}
{{- if .Values.controller.proxySetHeaders }}
proxy-set-headers: {{ include "portcullis.namespace" . }}/{{ include "portcullis.fullname" . }}-custom-proxy-headers
{{- end }}
{{- range $key, $value := .Values.controller.config }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }}: {{ tpl (include "portcullis.scalar" $value) $ | quote }}
{{- end }}
{{- end }}
{{- end -}}
