"""A real S3-compatible object store on loopback that checks keys and signatures: SeaweedFS from its wheel."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_ROLES = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class ObjectStore:
    endpoint: str
    bucket: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 needs to write there: for a server, never for its clients."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def names(self, prefix: str = "") -> list[str]:
        """The keys of the objects below `prefix`."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, name: str) -> bytes:
        return bytes(self.client().get_object(Bucket=self.bucket, Key=name)["Body"].read())

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )


@contextlib.contextmanager
def s3_server() -> Iterator[ObjectStore]:
    """It answers, with one bucket, until the block ends."""
    ports = dict(zip([(r, g) for r in _ROLES for g in ("", ".grpc")], _free_ports(8), strict=True))
    store = ObjectStore(
        f"http://127.0.0.1:{ports['s3', '']}", "artifacts", "key-of-the-tests", "s3-of-the-tests"
    )
    with TemporaryDirectory(prefix="s3", dir="/tmp") as name, (Path(name) / "log").open("wb") as log:
        process = subprocess.Popen(
            _command(Path(name), store, ports), cwd=name, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _make_bucket(store, process, Path(name) / "log")
            yield store
        finally:
            process.kill()  # it takes 25 s over a clean end, and its folder goes anyway
            process.wait(20)


def _command(folder: Path, store: ObjectStore, ports: dict[tuple[str, str], int]) -> list[str]:
    identity = {
        "name": "mlflow",
        "credentials": [{"accessKey": store.key, "secretKey": store.secret}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    return [
        str(Path(sys.executable).parent / "weed"),
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.config={folder / 'identities.json'}",
        "-s3.iam=false",
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64",
        "-master.electionTimeout=1s",
        *(f"-{role}.port{kind}={port}" for (role, kind), port in ports.items()),
    ]


def _make_bucket(store: ObjectStore, process: subprocess.Popen[bytes], log: Path) -> None:
    """Its parts find each other within seconds; only then a bucket can be made and written to."""
    client, deadline = store.client(), time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if store.bucket not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=store.bucket)
            client.put_object(Bucket=store.bucket, Key="ready", Body=b"")
            client.delete_object(Bucket=store.bucket, Key="ready")
            return
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
    raise AssertionError(f"the object store did not come up:\n{log.read_text()[-3000:]}")


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [int(listener.getsockname()[1]) for listener in listeners]
