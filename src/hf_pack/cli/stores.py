"""Which store a command works on, said when nobody named it."""

from __future__ import annotations

from hf_pack.cli.output import talk


def say_store(url: str | None) -> None:
    """One line on stderr when ``auto`` means the machine's Nix store."""
    from hf_pack import wiring

    if (note := wiring.store_note(url)) is not None:
        talk(note)
