from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import tiny_model, write_flat

from hf_pack.errors import PolicyError
from hf_pack.model.gates import Gate, Refused
from hf_pack.model.manifest import Allow
from hf_pack.model.workspace_document import Policy
from hf_pack.steps.trust.redistribution import require_package_redistributable, require_redistributable
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.policy import check_gates, check_licence


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


@pytest.mark.parametrize("denied", ["agpl-3.0", "MIT", "AGPL-3.0 AND MIT"])
def test_one_of_two_licences_that_hold_at_once_is_denied(package: Package, denied: str) -> None:
    package = replace(package, lock=replace(package.lock, licence="AGPL-3.0 AND MIT"))
    with pytest.raises(PolicyError, match=f"expected none of {denied}, found AGPL-3.0 AND MIT"):
        check_licence(Policy(deny_licences=(denied,)), package)
    with pytest.raises(PolicyError, match=f"expected none of {denied}, found AGPL-3.0 AND MIT"):
        require_package_redistributable(package, Policy(publish_deny_licences=(denied,)), told=True)
    check_licence(Policy(deny_licences=("gpl-3.0",)), package)
    require_package_redistributable(package, Policy(publish_deny_licences=("gpl-3.0",)), told=True)


CODE = tiny_model(config={"auto_map": {"AutoModel": "m.X"}}, extra={"m.py": b"pass\n"})


class TestGatesBeforeABuild:
    """The lock has what was found; manifest and policy may have changed since."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        bench = new_bench(tmp_path)
        bench.add(write_flat(bench.home / "acme--m", CODE), allow=Allow(remote_code=("m.py",)))
        return bench

    def test_what_the_manifest_allows(self, bench: Bench) -> None:
        assert "[allow]" in bench.manifest("m").read_text()
        check_gates(Policy(), bench.load("m"))

    def test_consent_that_was_taken_back(self, bench: Bench) -> None:
        manifest = bench.manifest("m")
        manifest.write_text(manifest.read_text().replace('remote_code = ["m.py"]', "remote_code = false"))
        with pytest.raises(PolicyError) as caught:
            check_gates(Policy(), bench.load("m"))
        assert caught.value.findings == (
            Refused(
                file="m.py",
                reason="Python of the model's own, which runs with trust_remote_code",
                gate=Gate.REMOTE_CODE,
                allowed_by='[allow] remote_code = ["m.py"]',
            ),
        )

    def test_a_policy_that_denies(self, bench: Bench) -> None:
        with pytest.raises(PolicyError) as caught:
            check_gates(Policy(deny=(Gate.REMOTE_CODE,)), bench.load("m"))
        assert caught.value.hint == 'hf-pack.toml: [policy] deny has "remote_code", which no manifest can allow'

    def test_a_policy_counts_while_locking(self, bench: Bench) -> None:
        (bench.workspace.root / "hf-pack.toml").write_text('[policy]\ndeny = ["remote_code"]\n')
        with pytest.raises(PolicyError):
            bench.lock("m")


class TestRedistribution:
    def bench(self, tmp_path: Path, licence: str) -> Bench:
        bench = new_bench(tmp_path)
        readme = f"---\nlicense: {licence}\n---\n".encode()
        files = tiny_model(extra={"README.md": readme})
        del files["LICENSE"]
        bench.add(write_flat(bench.home / "acme--m", files))
        return bench

    def judge(self, bench: Bench, policy: Policy, *, name: str = "m", told: bool = False) -> None:
        path = bench.build("m").info.store_path
        workspace = bench.workspace if name == "m" else None
        require_redistributable(name, path, workspace, bench.store, policy, told=told)

    def test_a_free_licence(self, tmp_path: Path) -> None:
        self.judge(self.bench(tmp_path, "mit"), Policy())

    def test_one_that_is_not(self, tmp_path: Path) -> None:
        bench = self.bench(tmp_path, "cc-by-nc-4.0")
        with pytest.raises(PolicyError) as caught:
            self.judge(bench, Policy())
        assert caught.value.exit_code == 8
        assert caught.value.message == (
            "m: not everybody may pass this model on: CC-BY-NC-4.0 allows it for non-commercial ends alone"
        )
        assert caught.value.hint == (
            "if you may: --allow-redistribution; or [allow] redistribution = true in models/m.toml; "
            'or [policy] publish_allow_licences = ["CC-BY-NC-4.0"] in hf-pack.toml'
        )
        self.judge(bench, Policy(), told=True)
        self.judge(bench, Policy(publish_allow_licences=("cc-by-nc-4.0",)))

    def test_a_store_path_needs_no_workspace(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyError, match="llama3"):
            self.judge(self.bench(tmp_path, "llama3"), Policy(), name="/nix/store/x")

    def test_the_manifest_consents(self, tmp_path: Path) -> None:
        bench = self.bench(tmp_path, "gemma")
        bench.append("m", "[allow]\nredistribution = true\n")
        self.judge(bench, Policy())

    def test_nobody_consents_to_what_policy_denies(self, tmp_path: Path) -> None:
        bench = self.bench(tmp_path, "mit")
        with pytest.raises(PolicyError, match=r"policy\.publish_deny_licences: expected none of mit, found MIT"):
            self.judge(bench, Policy(publish_deny_licences=("mit",)), told=True)

    def test_what_the_hub_gates_is_asked_about(self, package: Package) -> None:
        require_package_redistributable(package, Policy(), told=False)
        lock = replace(package.lock, source=replace(package.lock.source, gated="manual"))
        with pytest.raises(PolicyError, match="gated: manual"):
            require_package_redistributable(replace(package, lock=lock), Policy(), told=False)
