{{/*
The controller's permissions, as lists of rules. It reads by list and watch alone, and writes status, events, its Lease
and, when it keeps its own certificate, that Secret and its webhook's caBundle. It never reads Endpoints.
*/}}

{{/* What is looked at in every watched namespace. */}}
{{- define "portcullis.rules.watched" -}}
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [list, watch]
{{- if eq .Values.rbac.secrets.mode "cluster" }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
{{- if eq (include "portcullis.writesStatus" .) "true" }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses/status]
  verbs: [patch]
{{- end }}
{{ include "portcullis.rules.events" . }}
{{- end -}}

{{- define "portcullis.rules.events" -}}
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What only a ClusterRole can give. */}}
{{- define "portcullis.rules.cluster" -}}
{{- $scoped := .Values.controller.scope.enabled -}}
{{- if not $scoped }}
{{ include "portcullis.rules.watched" . }}
{{- end }}
{{- if or (not $scoped) .Values.rbac.ingressClasses }}
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [list, watch]
{{- end }}
{{- if and (not $scoped) .Values.controller.scope.namespaceSelector }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if eq (include "portcullis.readsNodes" .) "true" }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* What the controller does in its own namespace. */}}
{{- define "portcullis.rules.own" -}}
{{- if not .Values.controller.disableLeaderElection }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "portcullis.electionID" . }}]
  verbs: [get, update]
# A name cannot be given here: the object does not exist yet.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
{{- end }}
{{- if eq (include "portcullis.writesStatus" .) "true" }}
# Whether another replica runs, which decides if the status is cleared at the end; and the nodes of the replicas.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}
{{- if .Values.controller.scope.enabled }}
{{ include "portcullis.rules.events" . }}
{{- if ne (include "portcullis.scopeNamespace" .) (include "portcullis.namespace" .) }}
# The global ConfigMaps and the Service of the status.
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [list, watch]
{{- if .Values.defaultBackend.enabled }}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}
{{- end }}
{{- end }}
{{- if eq (include "portcullis.webhook.selfManaged" .) "true" }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "portcullis.admissionWebhooks.fullname" . }}]
  verbs: [get, update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- end }}
{{- end -}}

{{/*
Namespace → names of the Secrets that are read there, as YAML; no names is all of them. In mode cluster only the default
certificate outside of the scope needs a permission of its own.
*/}}
{{- define "portcullis.secrets.byNamespace" -}}
{{- $by := dict -}}
{{- if eq .Values.rbac.secrets.mode "namespaces" -}}
{{- range compact (splitList "," (include "portcullis.secrets.namespaces" .)) }}{{ $_ := set $by . list }}{{ end -}}
{{- else -}}
{{- $names := list -}}
{{- if eq .Values.rbac.secrets.mode "named" -}}
{{- $names = compact (splitList "," (include "portcullis.secrets.names" .)) -}}
{{- else if .Values.controller.scope.enabled -}}
{{- $default := include "portcullis.defaultCertificate" . -}}
{{- if and $default (not (hasPrefix (printf "%s/" (include "portcullis.scopeNamespace" .)) $default)) }}{{ $names = list $default }}{{ end -}}
{{- end -}}
{{- range $names -}}
{{- $parts := splitList "/" . -}}
{{- $_ := set $by (first $parts) (append (default list (get $by (first $parts))) (last $parts)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $by -}}
{{- end -}}

{{/* Binding of a Role or ClusterRole to the controller. Takes root, kind of the role, name of the role. */}}
{{- define "portcullis.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "portcullis.serviceAccountName" .root }}
    namespace: {{ include "portcullis.namespace" .root }}
{{- end -}}
