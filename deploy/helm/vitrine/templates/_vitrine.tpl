{{/*
All of these take the shop's own context:

  spec:
    template:
      metadata:
        labels:
          {{- include "vitrine.podLabels" . | nindent 10 }}
        annotations:
          {{- include "vitrine.podAnnotations" . | nindent 10 }}
      spec:
        initContainers:
          {{- include "vitrine.initContainer" . | nindent 10 }}
        volumes:
          {{- include "vitrine.volumes" . | nindent 10 }}

and in a file of its own: {{ include "vitrine.manifests" . }}
*/}}

{{- define "vitrine.name" -}}
{{ .Release.Name }}-vitrine
{{- end }}

{{/* For the PodMonitor, of which every release has its own. */}}
{{- define "vitrine.podLabels" -}}
vitrine: enabled
vitrine-release: {{ .Release.Name }}
{{- end }}

{{/* A changed configuration rolls the pods. */}}
{{- define "vitrine.podAnnotations" -}}
checksum/vitrine: {{ toYaml .Values.vitrine.config | sha256sum }}
{{- end }}

{{/* Every container of the pod gets the group that may open the socket. */}}
{{- define "vitrine.podSecurityContext" -}}
fsGroup: 65532
{{- end }}

{{/* A native sidecar, the first of the init containers: see deploy/kustomize/component/sidecar.yaml for the why. */}}
{{- define "vitrine.initContainer" -}}
{{- with .Values.vitrine -}}
- name: vitrine
  image: {{ .image | quote }}
  restartPolicy: Always
  args: [serve, --config=/etc/vitrine/config/vitrine.yaml]
  env:
    {{- if .unixSocket }}
    - name: VITRINE_LISTEN
      value: unix:/run/vitrine/vitrine.sock
    {{- end }}
    - name: GOMEMLIMIT
      value: {{ .goMemLimit | quote }}
    - name: GOMAXPROCS
      value: {{ .goMaxProcs | quote }}
    {{- with .env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: vitrine-probe
      containerPort: 8378
  startupProbe:
    httpGet: {path: /startupz, port: vitrine-probe}
    periodSeconds: 1
    failureThreshold: 30
  livenessProbe:
    httpGet: {path: /livez, port: vitrine-probe}
    periodSeconds: 10
    timeoutSeconds: 1
    failureThreshold: 6
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    {{- if .unixSocket }}
    - name: vitrine-socket
      mountPath: /run/vitrine
    {{- end }}
    - name: vitrine-config
      mountPath: /etc/vitrine/config
      readOnly: true
    - name: vitrine-secrets
      mountPath: /etc/vitrine/secrets
      readOnly: true
    - name: vitrine-outbox
      mountPath: /var/lib/vitrine
{{- end }}
{{- end }}

{{- define "vitrine.volumes" -}}
{{- if .Values.vitrine.unixSocket -}}
- name: vitrine-socket
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{ end -}}
- name: vitrine-config
  configMap:
    name: {{ include "vitrine.name" . }}
- name: vitrine-secrets
  secret:
    secretName: {{ .Values.vitrine.secretName }}
- name: vitrine-outbox
  emptyDir:
    sizeLimit: {{ .Values.vitrine.outboxSize }}
{{- end }}

{{- define "vitrine.manifests" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "vitrine.name" . }}
data:
  vitrine.yaml: |
    {{- toYaml .Values.vitrine.config | nindent 4 }}
{{- if .Values.vitrine.podMonitor }}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include "vitrine.name" . }}
spec:
  selector:
    matchLabels:
      {{- include "vitrine.podLabels" . | nindent 6 }}
  podMetricsEndpoints:
    - port: vitrine-probe
      path: /metrics
      interval: 15s
{{- end }}
{{- end }}
