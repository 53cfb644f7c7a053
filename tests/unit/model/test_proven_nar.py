"""What a NAR is compared with when it arrives."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.nar_objects import described, in_pieces, packed

from hf_pack.errors import IntegrityError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.store_path import ContentAddress, ContentAddressMethod
from hf_pack.model.proven_nar import ProvenNar

NODE = nar.NarFile(b"weights" * 1000)


@pytest.mark.parametrize("method", get_args(ContentAddressMethod))
@pytest.mark.parametrize("algorithm", [HashAlgorithm.SHA256, HashAlgorithm.SHA512])
def test_the_content_address_is_compared_beside_the_nar_hash(
    method: ContentAddressMethod, algorithm: HashAlgorithm
) -> None:
    if method == "text" and algorithm is not HashAlgorithm.SHA256:
        return  # there is none
    size = 32 if algorithm is HashAlgorithm.SHA256 else 64
    other = ContentAddress(method, Hash(algorithm, b"x" * size))
    for read in (ProvenNar.events, ProvenNar.raw):
        with pytest.raises(IntegrityError, match="CA: expected"):
            list(read(ProvenNar(described("m", NODE, other), in_pieces(packed(NODE)))))


def test_a_tree_s_own_address_holds() -> None:
    info = described("m", NODE)
    assert info.content_address == ContentAddress("recursive", info.nar_hash)
    assert b"".join(ProvenNar(info, in_pieces(packed(NODE))).raw()) == packed(NODE)
