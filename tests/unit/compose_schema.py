"""JSON schema of what mlflow_server/compose.yaml uses of the Compose specification; all else is refused.

It is not the whole of it: a field that the file is to use is added here first.
"""

from __future__ import annotations

from tests.unit.kuberay_schema import COUNT, TEXT, TEXTS, YES_OR_NO, either, fields, several

_NAMES = several(TEXT)
_LATER = either("service_started", "service_healthy", "service_completed_successfully")

SERVICE = fields(
    "image",
    "restart",
    "networks",
    image=TEXT,
    build=fields("context", context=TEXT, dockerfile=TEXT),
    restart=either("no", "always", "on-failure", "unless-stopped"),
    entrypoint=_NAMES,
    command=_NAMES,
    environment=TEXTS,
    secrets=_NAMES,
    volumes=_NAMES,
    networks=_NAMES,
    ports=several({"type": "string", "pattern": r"^[0-9]+:[0-9]+$"}),
    depends_on={"type": "object", "additionalProperties": fields("condition", condition=_LATER)},
    healthcheck=fields("test", test=_NAMES, interval=TEXT, timeout=TEXT, retries=COUNT),
    init=YES_OR_NO,
    read_only=YES_OR_NO,
    tmpfs=_NAMES,
    cap_drop=_NAMES,
    security_opt=_NAMES,
    stop_grace_period=TEXT,
)

COMPOSITION = fields(
    "name",
    "services",
    name=TEXT,
    services={"type": "object", "additionalProperties": SERVICE},
    networks={"type": "object", "additionalProperties": fields(internal=YES_OR_NO)},
    volumes={"type": "object", "additionalProperties": fields()},
    secrets={"type": "object", "additionalProperties": fields("file", file=TEXT)},
)
