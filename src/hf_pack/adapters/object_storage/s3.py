"""S3, and what speaks its language, as object storage: ``s3://BUCKET/PREFIX?region=…&endpoint=…&profile=…``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock, Semaphore
from typing import Any

from hf_pack.adapters.object_storage.keys import require_inside
from hf_pack.adapters.object_storage.parts import MIB, in_order, part_size_of, parts_of
from hf_pack.errors import HubError, IntegrityError, UsageError
from hf_pack.ports import SMALL, Progress, Readable

_NOT_THERE = ("404", "NoSuchKey", "403", "AccessDenied")  #: who may not list is told 403 of what is not there
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_TRIES = 5  #: in a row that bring nothing
_MEMORY = 128 * MIB  #: of parts on their way, of all uploads together


class S3Storage:
    """Implements :class:`hf_pack.ports.ObjectStorage` by botocore, which finds credentials as all tools of AWS do.

    A large object goes up in parts. An upload that broke off is found by asking S3 for unfinished ones of that key, and
    each of its parts counts when its ETag is the MD5 of the bytes that are to be there: no record of ours is trusted,
    and any machine can go on.
    """

    def __init__(
        self, bucket: str, prefix: str, name: str, *, region: str | None, endpoint: str | None, profile: str | None
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._name = name
        self._region, self._endpoint, self._profile = region, endpoint, profile
        self._turn = Lock()

    @property
    def name(self) -> str:
        """``s3://BUCKET/PREFIX``."""
        return self._name

    @cached_property
    def _made(self) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.session import Session

        session = Session(profile=self._profile)
        config = Config(
            signature_version=UNSIGNED if session.get_credentials() is None else None,  # what is public may be read
            retries={"mode": "standard", "max_attempts": _TRIES},
            max_pool_connections=32,
            # Newer checksums are not known to every server that speaks S3; parts are compared by their ETag.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if self._endpoint else None,
        )
        region = self._region or session.get_config_variable("region") or "us-east-1"
        try:
            return session.create_client("s3", region_name=region, endpoint_url=self._endpoint, config=config)
        except ValueError as error:
            what = str(error).partition(":")[0]  # not the address itself: a password may stand in it
            raise UsageError(f"{self._name}: {what}", hint="s3://BUCKET?endpoint=HOST:PORT&region=REGION") from None

    @property
    def _client(self) -> Any:
        with self._turn:  # making one is not thread-safe, using it is
            return self._made

    def size_of(self, key: str) -> int | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        with self._asking(key, absent=_NOT_THERE) as client:
            return int(client.head_object(Bucket=self._bucket, Key=self._prefix + key)["ContentLength"])
        return None

    def small(self, key: str, limit: int = SMALL) -> bytes | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        with self._asking(key, absent=_NOT_THERE) as client:
            answer = client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            with answer["Body"] as body:
                if answer["ContentLength"] > limit:
                    raise HubError(f"{self._name}: {key}: is larger than {limit} bytes")
                return bytes(body.read())
        return None

    def chunks(self, key: str, offset: int, size: int | None) -> Iterator[bytes]:
        """Goes on after a broken connection from where it broke, as long as every try brings something."""
        require_inside(self._name, key)
        if size is None:
            whole = self.size_of(key)
            if whole is None:
                raise HubError(f"{self._name}: {key}: is not there")
            size = whole - offset
        done, in_vain = 0, 0
        while done < size:
            before = done
            try:
                for chunk in self._range(key, offset + done, offset + size - 1):
                    yield chunk
                    done += len(chunk)
            except HubError:
                if done == before:
                    raise
            in_vain = 0 if done > before else in_vain + 1
            if in_vain >= _TRIES:
                raise HubError(f"{self._name}: {key} ends early")

    def _range(self, key: str, first: int, last: int) -> Iterator[bytes]:
        with self._asking(key) as client:
            answer = client.get_object(Bucket=self._bucket, Key=self._prefix + key, Range=f"bytes={first}-{last}")
            with answer["Body"] as body:
                while chunk := body.read(MIB):
                    yield chunk

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        condition = {} if replace else {"IfNoneMatch": "*"}
        with self._asking(key, absent=() if replace else _TAKEN) as client:
            client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=contents, **condition)
            return True
        return False

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:
        """See :class:`hf_pack.ports.ObjectStorage`. Parts go up side by side."""
        size = part_size_of(contents.size)
        if contents.size <= size:
            self.put(key, b"".join(bytes(chunk) for chunk in contents.chunks(0, contents.size)))
            progress.advance(contents.size)
            return contents.size
        upload = self._unfinished(key) or _Upload(self._create(key), {})
        sent = [0]

        def send(number: int, data: bytes) -> dict[str, object]:
            etag = upload.parts.get(number)
            if etag is None or etag != hashlib.md5(data, usedforsecurity=False).hexdigest():
                with self._asking(key) as client:
                    etag = client.upload_part(
                        Bucket=self._bucket, Key=self._prefix + key, UploadId=upload.id, PartNumber=number, Body=data
                    )["ETag"].strip('"')
                with self._turn:
                    sent[0] += len(data)
            progress.advance(len(data))
            return {"PartNumber": number, "ETag": f'"{etag}"'}

        try:
            parts = in_order(send, parts_of(contents, size), self._slots(size))
        except IntegrityError:
            with self._asking(key) as client:
                client.abort_multipart_upload(Bucket=self._bucket, Key=self._prefix + key, UploadId=upload.id)
            raise
        except HubError:
            if self.size_of(key) == contents.size:  # another publisher, who used the same parts, completed it
                return sent[0]
            raise
        with self._asking(key, absent=("NoSuchUpload",)) as client:
            client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._prefix + key,
                UploadId=upload.id,
                MultipartUpload={"Parts": parts},
            )
            return sent[0]
        if self.size_of(key) != contents.size:  # not even another publisher, who used the same parts, completed it
            raise HubError(f"{self._name}: {key}: the upload was given up by somebody else", hint="publish it again")
        return sent[0]

    def keys(self, prefix: str) -> tuple[str, ...]:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        with self._asking(prefix) as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            found = [one["Key"].removeprefix(self._prefix) for page in pages for one in page.get("Contents", ())]
        return tuple(sorted(found))

    def _create(self, key: str) -> str:
        with self._asking(key) as client:
            return str(client.create_multipart_upload(Bucket=self._bucket, Key=self._prefix + key)["UploadId"])

    def _unfinished(self, key: str) -> _Upload | None:
        """The latest unfinished upload of the key, with its parts; None also of one that somebody ends just now."""
        with self._asking(key, absent=("NoSuchUpload",)) as client:
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix + key
            )
            uploads = [one for page in pages for one in page.get("Uploads", ()) if one["Key"] == self._prefix + key]
            if not uploads:
                return None
            latest = max(uploads, key=lambda one: one["Initiated"])["UploadId"]
            pages = client.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=self._prefix + key, UploadId=latest
            )
            parts = [part for page in pages for part in page.get("Parts", ())]
            return _Upload(latest, {part["PartNumber"]: part["ETag"].strip('"') for part in parts})
        return None

    def _slots(self, part_size: int) -> Semaphore:
        """How many parts may be in memory: the same for all uploads whose parts are small."""
        return self._small_slots if part_size <= _MEMORY // 8 else Semaphore(max(1, _MEMORY // part_size))

    @cached_property
    def _small_slots(self) -> Semaphore:
        return Semaphore(8)

    @contextmanager
    def _asking(self, key: str, absent: tuple[str, ...] = ()) -> Iterator[Any]:
        """The client; what it refuses with one of the codes ``absent`` ends the block, all else is a HubError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield self._client
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code in absent:
                return
            raise HubError(
                f"{self._name}: {key}: {code}", hint="aws s3 ls shows which bucket and credentials work"
            ) from None
        except BotoCoreError as error:
            raise HubError(
                f"{self._name}: {key}: {type(error).__name__}: {str(error)[:200]}",
                hint="credentials are found as by the aws command: AWS_ACCESS_KEY_ID, AWS_PROFILE, ~/.aws, roles",
            ) from None


class _Upload:
    """An upload in parts, and the ETags of those that are there."""

    def __init__(self, upload_id: str, parts: dict[int, str]) -> None:
        self.id = upload_id
        self.parts = parts
