{{/* Spec of the external or internal Service. Takes root; service, its values; and base, whose values fill its gaps. */}}
{{- define "portcullis.serviceSpec" -}}
{{- $service := .service -}}
{{- $type := default .base.type $service.type -}}
type: {{ $type }}
{{- range $key := list "clusterIP" "clusterIPs" "externalIPs" "loadBalancerIP" "loadBalancerSourceRanges" "loadBalancerClass" "externalTrafficPolicy" "sessionAffinity" "healthCheckNodePort" "ipFamilyPolicy" "ipFamilies" }}
{{- with get $service $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- if hasKey $service "allocateLoadBalancerNodePorts" }}
allocateLoadBalancerNodePorts: {{ $service.allocateLoadBalancerNodePorts }}
{{- end }}
{{- if semverCompare ">=1.31.0-0" .root.Capabilities.KubeVersion.Version }}
{{- with $service.trafficDistribution }}
trafficDistribution: {{ . }}
{{- end }}
{{- end }}
ports:
  {{- include "portcullis.servicePorts" (merge (dict "nodePorts" (has $type (list "NodePort" "LoadBalancer"))) .) | trim | nindent 2 }}
selector:
  {{- include "portcullis.controller.selectorLabels" .root | nindent 2 }}
{{- end -}}

{{/* As above; nodePorts says whether the Service's type has any. */}}
{{- define "portcullis.servicePorts" -}}
{{- $in := . -}}
{{- $service := .service -}}
{{- range $name, $enabled := dict "http" .base.enableHttp "https" .base.enableHttps }}
{{- if $enabled }}
- name: {{ $name }}
  port: {{ default (get (default dict $in.base.ports) $name) (get (default dict $service.ports) $name) }}
  protocol: TCP
  targetPort: {{ default (get (default dict $in.base.targetPorts) $name) (get (default dict $service.targetPorts) $name) }}
  {{- if $service.appProtocol }}
  appProtocol: {{ $name }}
  {{- end }}
  {{- $nodePort := get (default dict $service.nodePorts) $name }}
  {{- if and $in.nodePorts $nodePort }}
  nodePort: {{ $nodePort }}
  {{- end }}
{{- end }}
{{- end }}
{{- range $protocol := list "tcp" "udp" }}
{{- range $port, $_ := index $in.root.Values $protocol }}
{{- $name := include "portcullis.portName" (dict "root" $in.root "port" $port "protocol" $protocol) }}
- name: {{ $name }}
  port: {{ $port }}
  protocol: {{ upper $protocol }}
  targetPort: {{ $name }}
  {{- $nodePort := get (default dict (get (default dict $service.nodePorts) $protocol)) (toString $port) }}
  {{- if and $in.nodePorts $nodePort }}
  nodePort: {{ $nodePort }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Spec of a Service with one port. Takes root, service (its values), selector, and port (a list of lines). */}}
{{- define "portcullis.smallServiceSpec" -}}
type: {{ .service.type }}
{{- $service := .service -}}
{{- range $key := list "clusterIP" "clusterIPs" "externalIPs" "loadBalancerIP" "loadBalancerSourceRanges" "externalTrafficPolicy" }}
{{- with get $service $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
ports:
  - name: {{ .port.name }}
    port: {{ .service.servicePort }}
    protocol: TCP
    targetPort: {{ .port.target }}
    {{- with .port.appProtocol }}
    appProtocol: {{ . }}
    {{- end }}
    {{- if and (has .service.type (list "NodePort" "LoadBalancer")) (get .service "nodePort") }}
    nodePort: {{ .service.nodePort }}
    {{- end }}
selector:
  {{- .selector | nindent 2 }}
{{- end -}}
