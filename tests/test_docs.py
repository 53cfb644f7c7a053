"""The documentation is held against the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_command_reference_is_current() -> None:
    script = "import sys; sys.path.insert(0, 'docs'); import generate; print(generate.reference(), end='')"
    printed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=True)
    assert (ROOT / "docs" / "commands.md").read_text() == printed.stdout, "run `make docs`"


def test_the_matrix_in_the_pages_is_the_data() -> None:
    script = (
        "import sys; sys.path.insert(0, 'docs'); import generate; "
        "print(generate.check_page(generate.MATRIX_PAGE.read_text()), end='')"
    )
    printed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=True)
    assert (ROOT / "docs" / "check.md").read_text() == printed.stdout, "run `make docs`"


def test_every_command_in_the_pages_exists() -> None:
    from hf_pack.cli.main import COMMAND_NAMES

    for page in PAGES:
        if page.name == "commands.md":
            continue
        for words in re.findall(r"^(?:\$ )?hf-pack ([a-z][a-z-]*)", page.read_text(), re.MULTILINE):
            assert words in COMMAND_NAMES, f"{page.name}: hf-pack {words}"


def test_the_rooms_in_the_concepts_page_are_those_of_the_code() -> None:
    table = (ROOT / "docs" / "concepts.md").read_text().partition("## Where the code is")[2]
    source = ROOT / "src" / "hf_pack"
    named = {
        name.removesuffix("/")
        for row in re.findall(r"^\| ((?:`[a-z_./]+`(?:, )?)+) \|", table, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    assert all((source / name).exists() for name in named)
    rooms = {path.name for path in source.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert rooms - named == {"data"}


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_manifest_in_the_formats_page_is_one() -> None:
    from hf_pack.model.manifest_document import parse

    page = (ROOT / "docs" / "formats.md").read_text()
    example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    manifest = parse(example[1], "vllm-qwen3-5-2b")
    assert manifest.pname == "vllm-qwen3.5-2b"
    assert len(manifest.patches) == 1


def test_the_pages_speak_of_the_project_alone() -> None:
    for page in PAGES:
        assert not re.search(r"/work/|/tmp/|/root/", page.read_text()), page.name
