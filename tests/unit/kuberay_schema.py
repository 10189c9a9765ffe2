"""JSON schema of what jobs/kuberay uses of Kubernetes and KubeRay 1.5.1 to 1.7; any other field is refused.

Field names and types are those of KubeRay's API reference (v1.7.0) and of the Kubernetes API. It is not the
whole of either: a field that a manifest is to use is added here first.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
QUANTITY: Schema = {"type": "string", "pattern": r"^[0-9]+(m|[KMGT]i?)?$"}


def fields(*required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def several(of: Schema) -> Schema:
    return {"type": "array", "items": of, "minItems": 1}


def either(*values: str) -> Schema:
    return {"enum": list(values)}


METADATA = fields(name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)

_KEY = fields("name", "key", name=TEXT, key=TEXT)
_VARIABLE = fields("name", name=TEXT, value={"type": "string"}, valueFrom=fields(secretKeyRef=_KEY))
_AMOUNTS = {
    "type": "object",
    "propertyNames": {"enum": ["cpu", "memory", "storage", "nvidia.com/gpu"]},
    "additionalProperties": QUANTITY,
}
_RESOURCES = fields(requests=_AMOUNTS, limits=_AMOUNTS)
_CONTAINER_SECURITY = fields(
    allowPrivilegeEscalation={"const": False}, capabilities=fields(drop=several(TEXT))
)
_CONTAINER = fields(
    "name",
    "image",
    "securityContext",
    "resources",
    name=TEXT,
    image=TEXT,
    imagePullPolicy=either("Always", "IfNotPresent", "Never"),
    securityContext=_CONTAINER_SECURITY,
    ports=several(fields("containerPort", containerPort=COUNT, name=TEXT)),
    env=several(_VARIABLE),
    resources=_RESOURCES,
    volumeMounts=several(fields("name", "mountPath", name=TEXT, mountPath=TEXT, readOnly=YES_OR_NO)),
    lifecycle=fields(preStop=fields(exec=fields(command=several(TEXT)))),
)
_POD_SECURITY = fields(
    "runAsNonRoot",
    runAsNonRoot={"const": True},
    runAsUser={"type": "integer", "minimum": 1},
    runAsGroup=COUNT,
    fsGroup=COUNT,
    fsGroupChangePolicy=either("OnRootMismatch", "Always"),
    seccompProfile=fields(type=either("RuntimeDefault")),
)
_TOLERATION = fields(
    key=TEXT, operator=either("Exists", "Equal"), value=TEXT, effect=either("NoSchedule", "NoExecute")
)
_POD = fields(
    "containers",
    "securityContext",
    automountServiceAccountToken=YES_OR_NO,
    securityContext=_POD_SECURITY,
    nodeSelector=TEXTS,
    tolerations=several(_TOLERATION),
    terminationGracePeriodSeconds=COUNT,
    containers=several(_CONTAINER),
    volumes=several(fields("name", name=TEXT, persistentVolumeClaim=fields("claimName", claimName=TEXT))),
)
_TEMPLATE = fields("spec", metadata=METADATA, spec=_POD)
_HEAD = fields(
    "rayStartParams",
    "template",
    serviceType=either("ClusterIP"),
    enableIngress={"const": False},
    rayStartParams=TEXTS,
    template=_TEMPLATE,
)
_WORKERS = fields(
    "groupName",
    "rayStartParams",
    "template",
    "minReplicas",
    "maxReplicas",
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    idleTimeoutSeconds=COUNT,
    rayStartParams=TEXTS,
    template=_TEMPLATE,
)
CLUSTER_SPEC = fields(
    "rayVersion",
    "headGroupSpec",
    "workerGroupSpecs",
    rayVersion=TEXT,
    authOptions=fields("mode", mode=either("token", "disabled"), secretName=TEXT),
    enableInTreeAutoscaling=YES_OR_NO,
    autoscalerOptions=fields(
        idleTimeoutSeconds=COUNT,
        upscalingMode=either("Default", "Aggressive", "Conservative"),
        securityContext=_CONTAINER_SECURITY,
        resources=_RESOURCES,
    ),
    headGroupSpec=_HEAD,
    workerGroupSpecs=several(_WORKERS),
)
JOB_SPEC = fields(
    "entrypoint",
    "rayClusterSpec",
    entrypoint=TEXT,
    submissionMode=either("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    backoffLimit=COUNT,
    activeDeadlineSeconds=COUNT,
    shutdownAfterJobFinishes=YES_OR_NO,
    ttlSecondsAfterFinished=COUNT,
    runtimeEnvYAML=TEXT,
    rayClusterSpec=CLUSTER_SPEC,
)
_SELECTOR = fields(matchLabels=TEXTS)
_POLICY_SPEC = fields(
    "podSelector",
    "policyTypes",
    podSelector=_SELECTOR,
    policyTypes=several(either("Ingress", "Egress")),
    ingress=several(
        fields(
            "from",
            ports=several(fields("port", protocol=either("TCP", "UDP"), port=COUNT)),
            **{"from": several(fields(podSelector=_SELECTOR, namespaceSelector=_SELECTOR))},
        )
    ),
)
_CLAIM_SPEC = fields(
    "accessModes",
    "resources",
    accessModes=several(either("ReadWriteMany")),
    storageClassName=TEXT,
    resources=_RESOURCES,
)


def _object(version: str, kind: str, spec: Schema) -> Schema:
    return fields(
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        apiVersion={"const": version},
        kind={"const": kind},
        metadata=METADATA,
        spec=spec,
    )


OBJECTS = {
    "RayCluster": _object("ray.io/v1", "RayCluster", CLUSTER_SPEC),
    "RayJob": _object("ray.io/v1", "RayJob", JOB_SPEC),
    "NetworkPolicy": _object("networking.k8s.io/v1", "NetworkPolicy", _POLICY_SPEC),
    "PersistentVolumeClaim": _object("v1", "PersistentVolumeClaim", _CLAIM_SPEC),
}
