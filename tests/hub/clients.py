"""The real ``huggingface_hub`` client and its ``hf`` command, each in a process of its own with its own ``HF_HOME``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LIMIT_SECONDS = 120.0

_ASK = """
import dataclasses, json, sys
from pathlib import Path
import huggingface_hub
from huggingface_hub import *
api = HfApi()

def plain(value):
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return str(value)

def outcome(expression):
    try:
        return {"value": eval(expression)}
    except Exception as error:
        return {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}

print(json.dumps([outcome(expression) for expression in json.load(sys.stdin)], default=plain))
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that the client raised: the names of its class and the classes above, and its message."""

    kinds: tuple[str, ...]
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """Where a client's requests go, as whom, and where it keeps its files. More ``variables`` may be set."""

    endpoint: str
    home: Path
    token: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def ask(self, *expressions: str) -> tuple[Any, ...]:
        """Evaluates expressions in one process with all of ``huggingface_hub`` and an ``api``.

        Gives for each its value as JSON has it (data classes as objects) or a ``Failure``.
        """
        command = [sys.executable, "-c", _ASK]
        done = self._run(command, json.dumps(expressions))
        assert done.returncode == 0, done.stderr
        outcomes = json.loads(done.stdout.splitlines()[-1])
        return tuple(
            outcome["value"] if "value" in outcome else Failure(tuple(outcome["error"]), outcome["message"])
            for outcome in outcomes
        )

    def hf(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the ``hf`` command."""
        return self._run([str(Path(sys.executable).parent / "hf"), *arguments], "")

    def _run(self, command: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "*",
            **({"HF_TOKEN": self.token} if self.token else {}),
            **self.variables,
        }
        return subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=_LIMIT_SECONDS, check=False
        )
