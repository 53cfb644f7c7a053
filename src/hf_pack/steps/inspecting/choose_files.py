"""Chooses the files to package, and asks what only the user can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hf_pack.errors import ManifestError, SourceError
from hf_pack.model.file_names import shown
from hf_pack.model.manifest import Selection
from hf_pack.model.selection import Selected, select
from hf_pack.model.weight_formats import weight_index
from hf_pack.steps.inspecting.remote_code import needed_code
from hf_pack.weights.side_files import recognise


def choose(
    where: str, sizes: Iterable[tuple[str, int]], selection: Selection, read: Callable[[str], bytes]
) -> Selected:
    """The files to package of the source called ``where`` (path, size in bytes).

    ``read`` gives the bytes of a small file; only configuration and remote code are read. Raises ManifestError
    for a pattern that matches nothing, SourceError without weights or with several GGUF
    quantizations to choose among.
    """
    offered = dict(sizes)
    selected = select(
        offered.items(),
        selection,
        auto_map_files=needed_code(offered.keys(), read),
        side_files={path: found.reason for path in offered if (found := recognise(path))},
    )
    if selected.unmatched:
        patterns = ", ".join(f'"{pattern}"' for pattern in selected.unmatched)
        raise ManifestError(
            f"source.include: no file of {where} matches {patterns}",
            hint="see the file names with `ls`; a pattern speaks of the whole path, and * crosses /",
        )
    if selected.quantizations:
        raise SourceError(
            f"{where}: expected one GGUF quantization, found {len(selected.quantizations)}: "
            + ", ".join(map(shown, selected.quantizations)),
            hint=f"hf-pack add SOURCE --file '*{selected.quantizations[0]}*', or in the manifest, under [source]: "
            f'include = ["*{selected.quantizations[0]}*", "*.json", "README*", "LICENSE*"]',
        )
    if not selected.formats:
        _no_weights(where, selected)
    return selected


def _no_weights(where: str, selected: Selected) -> None:
    others = [file for file in selected.omitted if "weights" in file.reason or "format" in file.reason]
    found = f"found {shown(others[0].path)} ({others[0].reason})" if others else "found none"
    index = next((path for path in selected.files if weight_index(path)), None)
    if index is not None:
        found = f"found {shown(index)} without any of the shards that it lists"
    raise SourceError(
        f"{where}: expected weights (safetensors, GGUF, or pickles with allow_pickle), {found}",
        hint="is the model whole? otherwise name its weights with include under [source] in a manifest",
    )
