{{/* The arguments of the controller, as a list. Of a repeated flag the last one counts, so extraArgs come last. */}}
{{- define "portcullis.arguments" -}}
{{- $controller := .Values.controller -}}
{{- $hook := $controller.admissionWebhooks -}}
{{- $extra := default dict $controller.extraArgs -}}
- run
{{- if not $controller.enableAnnotationValidations }}
- --enable-annotation-validation=false
{{- end }}
{{- if .Values.defaultBackend.enabled }}
- --default-backend-service=$(POD_NAMESPACE)/{{ include "portcullis.defaultBackend.fullname" . }}
{{- end }}
{{- with include "portcullis.publishService" . }}
- --publish-service={{ . }}
{{- end }}
- --election-id={{ include "portcullis.electionID" . }}
- --controller-class={{ $controller.ingressClassResource.controllerValue }}
{{- with $controller.ingressClass }}
- --ingress-class={{ . }}
{{- end }}
- --configmap={{ default "$(POD_NAMESPACE)" $controller.configMapNamespace }}/{{ include "portcullis.controller.fullname" . }}
{{- if .Values.tcp }}
- --tcp-services-configmap={{ default "$(POD_NAMESPACE)" $controller.tcp.configMapNamespace }}/{{ include "portcullis.fullname" . }}-tcp
{{- end }}
{{- if .Values.udp }}
- --udp-services-configmap={{ default "$(POD_NAMESPACE)" $controller.udp.configMapNamespace }}/{{ include "portcullis.fullname" . }}-udp
{{- end }}
{{- if $controller.scope.enabled }}
- --watch-namespace={{ default "$(POD_NAMESPACE)" $controller.scope.namespace }}
{{- else if $controller.scope.namespaceSelector }}
- --watch-namespace-selector={{ $controller.scope.namespaceSelector }}
{{- end }}
{{- if eq .Values.rbac.secrets.mode "namespaces" }}
- --secrets-namespaces={{ include "portcullis.secrets.namespaces" . }}
{{- else if eq .Values.rbac.secrets.mode "named" }}
- --secrets={{ include "portcullis.secrets.names" . }}
{{- end }}
{{- if and $controller.reportNodeInternalIp $controller.hostNetwork }}
- --report-node-internal-ip-address=true
{{- end }}
{{- if not $controller.updateStatus }}
- --update-status=false
{{- end }}
{{- if $hook.enabled }}
- --validating-webhook=:{{ $hook.port }}
{{- if eq (include "portcullis.webhook.selfManaged" .) "true" }}
- --validating-webhook-configuration={{ include "portcullis.admissionWebhooks.fullname" . }}
- --validating-webhook-secret=$(POD_NAMESPACE)/{{ include "portcullis.admissionWebhooks.fullname" . }}
- --validating-webhook-service=$(POD_NAMESPACE)/{{ include "portcullis.controller.fullname" . }}-admission
{{- else }}
- --validating-webhook-certificate={{ $hook.certificate }}
- --validating-webhook-key={{ $hook.key }}
{{- end }}
{{- end }}
{{- range $name, $usual := dict "http" 80 "https" 443 }}
{{- $port := get (default dict $controller.containerPort) $name }}
{{- if and $port (ne (int $port) $usual) (not (hasKey $extra (printf "%s-port" $name))) }}
- --{{ $name }}-port={{ $port }}
{{- end }}
{{- end }}
{{- with $controller.healthCheckHost }}
- --healthz-host={{ . }}
{{- end }}
{{- if ne $controller.healthCheckPath "/healthz" }}
- --health-check-path={{ $controller.healthCheckPath }}
{{- end }}
{{- if $controller.ingressClassByName }}
- --ingress-class-by-name=true
{{- end }}
{{- if $controller.watchIngressWithoutClass }}
- --watch-ingress-without-class=true
{{- end }}
{{- if $controller.metrics.enabled }}
- --enable-metrics=true
{{- end }}
{{- if $controller.enableTopologyAwareRouting }}
- --enable-topology-aware-routing=true
{{- end }}
{{- if $controller.disableLeaderElection }}
- --disable-leader-election=true
{{- end }}
{{- with $controller.electionTTL }}
- --election-ttl={{ . }}
{{- end }}
{{- range $key, $value := $extra }}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") }}
- --{{ $key }}
{{- else }}
- {{ printf "--%s=%s" $key (include "portcullis.scalar" $value) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A scalar as it was written: Helm holds numbers as floats, and would print large ones with an exponent. */}}
{{- define "portcullis.scalar" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* The Service whose addresses are the status, as namespace/name; empty for none. */}}
{{- define "portcullis.publishService" -}}
{{- $service := .Values.controller.service -}}
{{- $own := printf "$(POD_NAMESPACE)/%s" (include "portcullis.controller.fullname" .) -}}
{{- if .Values.controller.publishService.enabled -}}
{{- if .Values.controller.publishService.pathOverride -}}
{{- .Values.controller.publishService.pathOverride -}}
{{- else if and $service.enabled $service.external.enabled -}}
{{- $own -}}
{{- else if eq (include "portcullis.internalService" .) "true" -}}
{{- printf "%s-internal" $own -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* `true` when there is an internal Service; see the comment of controller.service.internal.enabled. */}}
{{- define "portcullis.internalService" -}}
{{- $service := .Values.controller.service -}}
{{- if and $service.enabled $service.internal.enabled (or $service.internal.annotations $service.internal.type) }}true{{ end -}}
{{- end -}}

{{/* `true` when the controller writes the status. */}}
{{- define "portcullis.writesStatus" -}}
{{- $extra := default dict .Values.controller.extraArgs -}}
{{- $said := toString (get $extra "update-status") -}}
{{- if eq $said "false" }}false{{ else if has $said (list "true" "") }}{{ or .Values.controller.updateStatus (hasKey $extra "update-status") }}{{ else }}true{{ end -}}
{{- end -}}

{{/* `true` when the status has the addresses of nodes, for want of a Service or an address. */}}
{{- define "portcullis.readsNodes" -}}
{{- $extra := default dict .Values.controller.extraArgs -}}
{{- $given := or (include "portcullis.publishService" .) (get $extra "publish-service") (get $extra "publish-status-address") -}}
{{- and (eq (include "portcullis.writesStatus" .) "true") (not $given) -}}
{{- end -}}

{{/* Secret of --default-ssl-certificate, with the pod's namespace written out. */}}
{{- define "portcullis.defaultCertificate" -}}
{{- get (default dict .Values.controller.extraArgs) "default-ssl-certificate" | toString | replace "$(POD_NAMESPACE)" (include "portcullis.namespace" .) -}}
{{- end -}}

{{- define "portcullis.secrets.names" -}}
{{- $names := default list .Values.rbac.secrets.names -}}
{{- with include "portcullis.defaultCertificate" . }}{{ $names = append $names . }}{{ end -}}
{{- join "," (uniq $names | sortAlpha) -}}
{{- end -}}

{{- define "portcullis.secrets.namespaces" -}}
{{- $namespaces := default list .Values.rbac.secrets.namespaces -}}
{{- with include "portcullis.defaultCertificate" . }}{{ $namespaces = append $namespaces (splitList "/" . | first) }}{{ end -}}
{{- join "," (uniq $namespaces | sortAlpha) -}}
{{- end -}}
