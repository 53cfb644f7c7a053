"""A server with S3's API on loopback: moto's, a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

BUCKET = "models"


@dataclass(frozen=True)
class S3Server:
    """``cache`` is the URL of a cache in its one bucket, ``environment`` what tools of AWS need."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cache(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}?endpoint={self.endpoint}&region=eu-central-1"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nowhere",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        }


@contextmanager
def serving_s3() -> Iterator[S3Server]:
    """The server with an empty bucket, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = S3Server(probe.getsockname()[1])
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(server.port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:  # it says where it listens when it does
            if "Running on" in line:
                break
        else:
            raise AssertionError("moto's server does not start")
        threading.Thread(target=process.stderr.read, daemon=True).start()  # it logs every request
        client(server).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield server
    finally:
        process.kill()
        process.wait()


def client(server: S3Server):  # type: ignore[no-untyped-def] # botocore has no types
    """Somebody else's client of the server."""
    import botocore.session

    return botocore.session.Session().create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=server.endpoint,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
