{{/* Names, labels, images: what several objects share. */}}

{{- define "portcullis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Prefix of object names: the release's, with the chart's unless it is in there. At most 63 characters, as labels. */}}
{{- define "portcullis.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $whole := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $whole .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.controller.fullname" -}}
{{- printf "%s-%s" (include "portcullis.fullname" .) .Values.controller.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.defaultBackend.fullname" -}}
{{- printf "%s-%s" (include "portcullis.fullname" .) .Values.defaultBackend.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.admissionWebhooks.fullname" -}}
{{- printf "%s-%s" (include "portcullis.fullname" .) .Values.controller.admissionWebhooks.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "portcullis.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.defaultBackend.serviceAccountName" -}}
{{- if .Values.defaultBackend.serviceAccount.create -}}
{{- default (printf "%s-backend" (include "portcullis.fullname" .)) .Values.defaultBackend.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.defaultBackend.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.selectorLabels" -}}
app.kubernetes.io/name: {{ include "portcullis.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portcullis.labels" -}}
helm.sh/chart: {{ include "portcullis.chart" . }}
{{ include "portcullis.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "portcullis.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of an object of the controller. */}}
{{- define "portcullis.controller.labels" -}}
{{ include "portcullis.labels" . }}
app.kubernetes.io/component: controller
{{- with .Values.controller.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portcullis.controller.selectorLabels" -}}
{{ include "portcullis.selectorLabels" . }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "portcullis.webhook.labels" -}}
{{ include "portcullis.labels" . }}
app.kubernetes.io/component: admission-webhook
{{- with .Values.controller.admissionWebhooks.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portcullis.defaultBackend.labels" -}}
{{ include "portcullis.labels" . }}
app.kubernetes.io/component: default-backend
{{- with .Values.defaultBackend.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portcullis.defaultBackend.selectorLabels" -}}
{{ include "portcullis.selectorLabels" . }}
app.kubernetes.io/component: default-backend
{{- end -}}

{{/*
What of controller.image is ingress-nginx's own: its image, and its tags, which begin with v. A values file that pinned
them must not ask for such a version of this image.
*/}}
{{- define "portcullis.image.foreign" -}}
{{- $image := .Values.controller.image -}}
{{- $what := list -}}
{{- if contains "ingress-nginx/controller" (toString $image.repository) }}{{ $what = append $what "repository" }}{{ end -}}
{{- if contains "ingress-nginx/controller" (toString $image.image) }}{{ $what = append $what "image" }}{{ end -}}
{{- if regexMatch "^v[01]\\.[0-9]+\\." (toString $image.tag) }}{{ $what = append $what "tag" }}{{ end -}}
{{- join "," $what -}}
{{- end -}}

{{- define "portcullis.image" -}}
{{- $image := .Values.controller.image -}}
{{- $foreign := include "portcullis.image.foreign" . -}}
{{- $global := .Values.global.image.registry -}}
{{- $registry := default (ternary "" $global (eq $global "registry.k8s.io")) $image.registry -}}
{{- $registry = ternary "" $registry (eq $registry "registry.k8s.io") -}}
{{- $name := default "portcullis" (ternary "" $image.image (contains "image" $foreign)) -}}
{{- $whole := ternary (printf "%s/%s" $registry $name) $name (ne $registry "") -}}
{{- if and $image.repository (not (contains "repository" $foreign)) }}{{ $whole = $image.repository }}{{ end -}}
{{- $tag := default .Chart.AppVersion (ternary "" $image.tag (contains "tag" $foreign)) -}}
{{- $digest := default "" (ternary "" $image.digest (ne $foreign "")) -}}
{{- printf "%s:%s%s" $whole $tag (ternary (printf "@%s" $digest) "" (ne $digest "")) -}}
{{- end -}}

{{- define "portcullis.defaultBackend.image" -}}
{{- $image := .Values.defaultBackend.image -}}
{{- $registry := coalesce $image.registry .Values.global.image.registry "registry.k8s.io" -}}
{{- $whole := default (printf "%s/%s" $registry $image.image) $image.repository -}}
{{- printf "%s:%s%s" $whole (toString $image.tag) (empty $image.digest | ternary "" (printf "@%s" $image.digest)) -}}
{{- end -}}

{{/* Name of a TCP or UDP service's port; takes root, port, protocol. A port's name has at most 15 characters. */}}
{{- define "portcullis.portName" -}}
{{- with .root.Values.portNamePrefix }}{{ . }}-{{ end }}{{ .port }}-{{ .protocol }}
{{- end -}}

{{- define "portcullis.electionID" -}}
{{- default (printf "%s-leader" (include "portcullis.fullname" .)) .Values.controller.electionID -}}
{{- end -}}

{{/* The one namespace that is looked at; empty for all. */}}
{{- define "portcullis.scopeNamespace" -}}
{{- if .Values.controller.scope.enabled -}}
{{- default (include "portcullis.namespace" .) .Values.controller.scope.namespace -}}
{{- end -}}
{{- end -}}

{{/* `true` when the controller makes its webhook's certificate itself. */}}
{{- define "portcullis.webhook.selfManaged" -}}
{{- $hook := .Values.controller.admissionWebhooks -}}
{{- and $hook.enabled $hook.patch.enabled (not $hook.certManager.enabled) -}}
{{- end -}}

{{/* `true` when the webhook's certificate is mounted as files. */}}
{{- define "portcullis.webhook.mounted" -}}
{{- and .Values.controller.admissionWebhooks.enabled (ne (include "portcullis.webhook.selfManaged" .) "true") -}}
{{- end -}}

{{/*
`true` when an IngressClass exists and another release, or nobody, owns it: Helm would refuse to install over it. It is
left alone then, and created by the first upgrade after it went. Takes root and the class's name.
*/}}
{{- define "portcullis.ingressClass.foreign" -}}
{{- $root := first . -}}
{{- if not $root.Values.controller.ingressClassResource.adopt -}}
{{- with lookup "networking.k8s.io/v1" "IngressClass" "" (last .) -}}
{{- $annotations := default dict .metadata.annotations -}}
{{- $release := get $annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- if not (and (eq $release $root.Release.Name) (eq $namespace $root.Release.Namespace)) }}true{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
