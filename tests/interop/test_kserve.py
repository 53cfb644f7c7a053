"""The InferenceService against KServe's own classes: every field is one that they have, of the type that they say."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml as reader
from tests.unit.expressions.test_kubernetes import IMAGE, PULLED, WORKLOAD

from hf_pack.expressions.kubernetes import ImageVolume, PulledVolume, inference_service, yaml

WHEELS = Path(__file__).parents[2] / ".build" / "wheels"
WHEEL = "kserve==0.21.0"
_PLAIN = {"str": str, "int": int, "bool": bool}


@pytest.fixture(scope="module")
def wheel() -> zipfile.Path:
    """The published wheel; its dependencies, hundreds of megabytes, are not needed to read it."""
    if not (found := list(WHEELS.glob("kserve-*.whl"))):
        WHEELS.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", WHEELS, WHEEL], capture_output=True)
        found = list(WHEELS.glob("kserve-*.whl"))
    if not found:
        pytest.skip(f"needs {WHEEL} from the package index")
    return zipfile.Path(found[0])


def fields(wheel: zipfile.Path, module: str) -> dict[str, str]:
    """The JSON names of a class's fields, with their types."""
    tree = ast.parse((wheel / "kserve" / "models" / f"{module}.py").read_text())
    tables: dict[str, dict[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Dict):
            tables[node.targets[0].id] = ast.literal_eval(node.value)
    return {tables["attribute_map"][name]: kind for name, kind in tables["openapi_types"].items()}


def hold(value: dict[str, Any], known: dict[str, str]) -> None:
    for key, inner in value.items():
        assert key in known, f"KServe has no {key}"
        kind = known[key]
        if kind.startswith("list["):
            assert isinstance(inner, list)
        elif kind in _PLAIN:
            assert isinstance(inner, _PLAIN[kind])
        else:
            assert isinstance(inner, dict)


@pytest.mark.parametrize("package", [IMAGE, PULLED])
def test_every_field_is_one_of_kserve(wheel: zipfile.Path, package: ImageVolume | PulledVolume) -> None:
    (document,) = reader.safe_load_all(yaml(inference_service(WORKLOAD, package)))
    assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    hold(document, {**fields(wheel, "v1beta1_inference_service"), "metadata": "V1ObjectMeta"})
    hold(document["spec"], fields(wheel, "v1beta1_inference_service_spec"))
    hold(document["spec"]["predictor"], fields(wheel, "v1beta1_predictor_spec"))
