{{/* The pod of the controller, for its Deployment and its DaemonSet. */}}
{{- define "portcullis.pod" -}}
metadata:
  {{- with .Values.controller.podAnnotations }}
  annotations:
    {{- range $key, $value := . }}
    {{ $key }}: {{ $value | quote }}
    {{- end }}
  {{- end }}
  labels:
    {{- include "portcullis.controller.labels" . | nindent 4 }}
    {{- with .Values.controller.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .Values.controller.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.controller.hostAliases }}
  hostAliases:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  {{- with .Values.controller.hostname }}
  hostname: {{ . | quote }}
  {{- end }}
  dnsPolicy: {{ .Values.controller.dnsPolicy }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.controller.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.controller.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- with include "portcullis.podSecurityContext" . | fromYaml }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.controller.shareProcessNamespace }}
  shareProcessNamespace: true
  {{- end }}
  {{- with .Values.controller.extraInitContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    {{- include "portcullis.container" . | nindent 4 }}
    {{- with .Values.controller.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if .Values.controller.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.controller.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.controller.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.controller.affinity }}
  affinity:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  {{- with .Values.controller.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "portcullis.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
  terminationGracePeriodSeconds: {{ .Values.controller.terminationGracePeriodSeconds }}
  {{- $mounted := eq (include "portcullis.webhook.mounted" .) "true" }}
  {{- if or $mounted .Values.controller.extraVolumes }}
  volumes:
    {{- if $mounted }}
    - name: webhook-cert
      secret:
        secretName: {{ include "portcullis.admissionWebhooks.fullname" . }}
        {{- if .Values.controller.admissionWebhooks.certManager.enabled }}
        items:
          - key: tls.crt
            path: {{ base .Values.controller.admissionWebhooks.certificate }}
          - key: tls.key
            path: {{ base .Values.controller.admissionWebhooks.key }}
        {{- end }}
    {{- end }}
    {{- with .Values.controller.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "portcullis.container" -}}
- name: {{ .Values.controller.containerName }}
  image: {{ include "portcullis.image" . | quote }}
  imagePullPolicy: {{ .Values.controller.image.pullPolicy }}
  {{- with .Values.controller.lifecycle }}
  lifecycle:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  args:
    {{- include "portcullis.arguments" . | nindent 4 }}
  securityContext:
    {{- include "portcullis.containerSecurityContext" (dict "given" .Values.controller.containerSecurityContext "image" .Values.controller.image "add" (list "NET_BIND_SERVICE")) | nindent 4 }}
  env:
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: POD_NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    {{- with .Values.controller.extraEnvs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
  {{- with index $.Values.controller $probe }}
  {{ $probe }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  ports:
    {{- include "portcullis.containerPorts" . | trim | nindent 4 }}
  {{- $mounted := eq (include "portcullis.webhook.mounted" .) "true" }}
  {{- if or $mounted .Values.controller.extraVolumeMounts }}
  volumeMounts:
    {{- if $mounted }}
    - name: webhook-cert
      mountPath: {{ dir .Values.controller.admissionWebhooks.certificate }}
      readOnly: true
    {{- end }}
    {{- with .Values.controller.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with .Values.controller.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and .Values.controller.resizePolicy (semverCompare ">=1.33.0-0" .Capabilities.KubeVersion.Version) }}
  resizePolicy:
    {{- toYaml .Values.controller.resizePolicy | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "portcullis.containerPorts" -}}
{{- $hostPort := .Values.controller.hostPort -}}
{{- range $name, $port := .Values.controller.containerPort }}
- name: {{ $name }}
  containerPort: {{ $port }}
  protocol: TCP
  {{- if $hostPort.enabled }}
  hostPort: {{ default $port (get (default dict $hostPort.ports) $name) }}
  {{- end }}
{{- end }}
{{- if .Values.controller.metrics.enabled }}
- name: {{ .Values.controller.metrics.portName }}
  containerPort: {{ .Values.controller.metrics.port }}
  protocol: TCP
{{- end }}
{{- if .Values.controller.admissionWebhooks.enabled }}
- name: webhook
  containerPort: {{ .Values.controller.admissionWebhooks.port }}
  protocol: TCP
{{- end }}
{{- range $protocol := list "tcp" "udp" }}
{{- range $port, $_ := index $.Values $protocol }}
- name: {{ include "portcullis.portName" (dict "root" $ "port" $port "protocol" $protocol) }}
  containerPort: {{ $port }}
  protocol: {{ upper $protocol }}
  {{- if $hostPort.enabled }}
  hostPort: {{ $port }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
The pod's security context. NET_BIND_SERVICE alone does not reach the process of a user without root: Kubernetes sets no
ambient capabilities (KEP-2763). The sysctl does; it is of the safe set, but not allowed with the node's network.
*/}}
{{- define "portcullis.podSecurityContext" -}}
{{- $context := deepCopy (default dict .Values.controller.podSecurityContext) -}}
{{- $sysctls := deepCopy (default dict .Values.controller.sysctls) -}}
{{- $port := "net.ipv4.ip_unprivileged_port_start" -}}
{{- if and .Values.controller.unprivilegedPorts (not .Values.controller.hostNetwork) (not (hasKey $sysctls $port)) -}}
{{- $_ := set $sysctls $port "0" -}}
{{- end -}}
{{- $list := default list $context.sysctls -}}
{{- $named := list -}}
{{- range $list }}{{ $named = append $named .name }}{{ end -}}
{{- range $name, $value := $sysctls -}}
{{- if not (has $name $named) }}{{ $list = append $list (dict "name" $name "value" (include "portcullis.scalar" $value)) }}{{ end -}}
{{- end -}}
{{- if $list }}{{ $_ := set $context "sysctls" $list }}{{ end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* A container's security context: the given one, or what its image's values say. Takes given, image, add. */}}
{{- define "portcullis.containerSecurityContext" -}}
{{- if .given -}}
{{- toYaml .given -}}
{{- else -}}
runAsNonRoot: {{ .image.runAsNonRoot }}
runAsUser: {{ .image.runAsUser }}
runAsGroup: {{ .image.runAsGroup }}
allowPrivilegeEscalation: {{ .image.allowPrivilegeEscalation }}
{{- with .image.seccompProfile }}
seccompProfile:
  {{- toYaml . | nindent 2 }}
{{- end }}
capabilities:
  drop: [ALL]
  {{- with .add }}
  add:
    {{- toYaml . | nindent 4 }}
  {{- end }}
readOnlyRootFilesystem: {{ .image.readOnlyRootFilesystem }}
{{- end -}}
{{- end -}}
