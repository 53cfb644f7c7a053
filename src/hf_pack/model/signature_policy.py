"""What a machine asks of signatures."""

from __future__ import annotations

from enum import StrEnum


class SignaturePolicy(StrEnum):
    """``off`` checks none, ``warn`` says where none was good, ``enforce`` takes only what a trusted key signed."""

    OFF = "off"
    WARN = "warn"
    ENFORCE = "enforce"
