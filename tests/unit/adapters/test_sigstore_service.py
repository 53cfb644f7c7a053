"""What can be said of Sigstore's signatures without its service."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.signers import key_pair

from hf_pack.adapters.signing.keys import KeySigner
from hf_pack.adapters.signing.sigstore_service import SigstoreVerifier
from hf_pack.errors import PolicyError, UsageError

pytest.importorskip("sigstore")
SOMEBODY = "sigstore:https://issuer.example#https://github.com/acme/models/.github/workflows/sign.yml@refs/heads/main"


@pytest.mark.parametrize(
    "text", ["sigstore:https://issuer.example", "sigstore:#a@b.example", "sigstore:https://i.example#"]
)
def test_an_identity_is_an_issuer_and_whom_it_knows(text: str) -> None:
    with pytest.raises(UsageError, match="no identity of Sigstore"):
        SigstoreVerifier(text)


def test_a_signature_by_a_key_is_none_of_sigstore_s(tmp_path: Path) -> None:
    bundle = KeySigner(key_pair(tmp_path).private, (), None).sign(b"{}")
    verifier = SigstoreVerifier(SOMEBODY)
    assert verifier.name == SOMEBODY
    for text in (bundle, b"", b"[]", b"{}"):
        with pytest.raises(PolicyError, match="no bundle that Sigstore made"):
            verifier.payload(text)
