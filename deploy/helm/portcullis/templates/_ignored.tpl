{{/* One line for each value that is set and has no effect here, with the reason. */}}
{{- define "portcullis.ignored" -}}
{{- $values := .Values -}}
{{- range .Files.Get "files/ignored.yaml" | fromYamlArray -}}
{{- $reason := .reason -}}
{{- range .paths -}}
{{- $value := $values -}}
{{- range splitList "." . -}}
{{- if kindIs "map" $value }}{{ $value = get $value . }}{{ else }}{{ $value = "" }}{{ end -}}
{{- end -}}
{{- if $value }}
{{ printf "  %s: %s" . $reason }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $foreign := include "portcullis.image.foreign" . -}}
{{- if $foreign -}}
{{- range splitList "," $foreign }}
{{ printf "  controller.image.%s: it names an image of ingress-nginx" . }}
{{- end -}}
{{- if .Values.controller.image.digest }}
{{ printf "  controller.image.digest: it belongs to an image of ingress-nginx" }}
{{- end -}}
{{- end -}}
{{- end -}}
