"""The fixed expressions."""

from __future__ import annotations

from hf_pack.expressions.nix_texts import WRITTEN, default_nix, flake_nix


def test_the_default_is_readable_and_sorted() -> None:
    assert default_nix(["b", "3-a"]).decode() == (
        f"{WRITTEN}; write it again after `hf-pack lock` and `bump`.\n"
        "let\n  package = import ./package.nix ./.;\nin\n"
        '{\n  "3-a" = package "3-a";\n  "b" = package "b";\n}\n'
    )


def test_the_flake_names_the_directory() -> None:
    text = flake_nix("./nix").decode()
    assert text.startswith(WRITTEN) and "value = import ./nix;\n" in text and '"x86_64-linux"' in text
