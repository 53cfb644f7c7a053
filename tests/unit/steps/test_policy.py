from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench import new_bench
from tests.models import tiny_model, write_flat

from hf_pack.errors import PolicyError
from hf_pack.model.workspace_document import Policy
from hf_pack.steps.packages import Package
from hf_pack.steps.policy import check_licence


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """Apache-2.0 by its card."""
    bench = new_bench(tmp_path)
    bench.add(write_flat(bench.home / "acme--m", tiny_model()))
    return bench.load("m")


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(allow_licences=("mit", "apache-2.0")),
        Policy(deny_licences=("other",)),
        Policy(allow_licences=("Apache-2.0",), deny_licences=("mit",)),
    ],
)
def test_what_is_allowed(package: Package, policy: Policy) -> None:
    check_licence(policy, package)


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (Policy(allow_licences=("mit",)), "policy.allow_licences: expected one of mit, found Apache-2.0"),
        (Policy(allow_licences=()), "policy.allow_licences: expected one of none, found Apache-2.0"),
        (Policy(deny_licences=("APACHE-2.0",)), "policy.deny_licences: expected none of APACHE-2.0, found Apache-2.0"),
    ],
)
def test_what_is_refused(package: Package, policy: Policy, line: str) -> None:
    with pytest.raises(PolicyError) as caught:
        check_licence(policy, package)
    assert caught.value.exit_code == 8
    assert caught.value.message.splitlines()[1] == f"  hf-pack.toml: {line}"
