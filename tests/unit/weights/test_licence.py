from __future__ import annotations

import pytest

from hf_pack.weights.licence import disagreements, licence_of, recognise_text

APACHE = b"\n                                 Apache License\n                           Version 2.0, January 2004"
MIT = b"Permission is hereby granted, free of charge, to any person\nobtaining a copy"


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("odbl", "ODbL-1.0"),
        ("llama3.1", "llama3.1"),
        ("gemma", "gemma"),
        ('"mit"', "MIT"),
        ("'mit'  # a comment", "MIT"),
        ("mit # a comment", "MIT"),
        ("\n- mit", "MIT"),
        ("\n  - 'apache-2.0'", "Apache-2.0"),
        ('"mit" # quoted', "MIT"),
        ("# nothing", None),
        ("\n# a comment\n- mit\n- apache-2.0", "MIT"),
        ("other", "other"),
        ("other\nlicense_name: qwen-research", "qwen-research"),
        ("Other\nlicense_name: ''", "other"),
        ("", None),
        ("unknown", None),
        ("null", None),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_front_matter(stated: str, licence: str | None, newline: str) -> None:
    readme = f"---\nlanguage:\n- en\nlicense: {stated}\ntags:\n- x\n---\n# Model\nlicense: wtfpl\n"
    assert licence_of(readme.replace("\n", newline).encode(), {}) == licence


@pytest.mark.parametrize(
    "readme",
    [
        b"",
        b"# Model\nlicense: mit\n",
        b"---\nlicense: mit\n",
        b"# Model\n---\nlicense: mit\n---\n",
        b"---\nbase:\n  license: mit\n---\n",
        b"---\nlicense_link: mit\n---\n",
        b"---\nlicense:mit\n---\n",
        b"---\n- mit\n---\n",
    ],
)
def test_only_front_matter_counts(readme: bytes) -> None:
    assert licence_of(readme, {}) is None


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert licence_of(b"\xef\xbb\xbf---\nlicense: mit\n---\n", {}) == "MIT"


def test_the_readme_wins_over_the_texts_unless_it_says_other() -> None:
    assert licence_of(b"---\nlicense: mit\n---\n", {"LICENSE": APACHE}) == "MIT"
    assert licence_of(b"---\nlicense: other\n---\n", {"LICENSE": APACHE}) == "Apache-2.0"
    assert licence_of(None, {"LICENSE": APACHE}) == "Apache-2.0"
    assert licence_of(None, {"LICENSE": MIT, "LICENSE-weights": APACHE, "NOTICE": b"hello"}) == "Apache-2.0 AND MIT"
    assert licence_of(None, {"LICENSE": b"All rights reserved."}) is None
    assert licence_of(None, {}) is None


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (APACHE, "Apache-2.0"),
        (MIT, "MIT"),
        (b"Redistribution and use in source and binary forms, with or without", "BSD-2-Clause"),
        (b"Redistribution and use in source and binary forms ...\n3. Neither the name of", "BSD-3-Clause"),
        (b"LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\nLlama 3.1 Version Release Date: July 23, 2024", "llama3.1"),
        (b"META LLAMA 3 COMMUNITY LICENSE AGREEMENT", "llama3"),
        (b"LLAMA 2 COMMUNITY LICENSE AGREEMENT", "llama2"),
        (b"Gemma Terms of Use\nLast modified: April 1, 2024", "gemma"),
        (b"Attribution 4.0 International\n====", "CC-BY-4.0"),
        (
            b"Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International Public",
            "CC-BY-NC-SA-4.0",
        ),
        (b"Attribution-NonCommercial-NoDerivatives 4.0 International", "CC-BY-NC-ND-4.0"),
        (b"GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0"),
        (b"GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3", "AGPL-3.0"),
        (b"GNU LESSER GENERAL PUBLIC LICENSE\n Version 3", "LGPL-3.0"),
        (b"BigScience OPEN RAIL-M License", "bigscience-openrail-m"),
        (b"attribution of 4.0 points", None),
        (b"\xff\xfe\x00", None),
        (b"", None),
    ],
)
def test_recognise_text(text: bytes, licence: str | None) -> None:
    assert recognise_text(text) == licence


def test_places_that_agree() -> None:
    card = b"---\nlicense: apache-2.0\n---\n"
    assert disagreements(card, {"LICENSE": APACHE}, {"the Hub": "apache-2.0", "GGUF": None}) == ()
    assert disagreements(b"---\nlicense: other\n---\n", {"LICENSE": APACHE}, {}) == ()
    assert disagreements(b"---\nlicense: llama3\n---\n", {}, {"the Hub": "llama3.1"}) == ()
    assert disagreements(None, {}, {}) == ()


def test_places_that_do_not_are_told() -> None:
    card = b"---\nlicense: cc-by-nc-4.0\n---\n"
    assert disagreements(card, {"LICENSE": APACHE}, {"the Hub": "mit"}) == (
        "the licence is stated in different ways: README.md CC-BY-NC-4.0, the Hub MIT, LICENSE Apache-2.0",
    )
