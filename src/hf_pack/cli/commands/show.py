"""``hf-pack show``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import print_json, size_words, table

if TYPE_CHECKING:
    from hf_pack.model.json_value import JsonObject
    from hf_pack.model.lock import ModelSummary
    from hf_pack.steps.stored.contents import StoredContents
    from hf_pack.steps.workspace.packages import Package


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, help_text="a package, a store path, or pname@version")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--provenance", action="store_true", help="where it came from: an in-toto statement with SLSA's provenance"
    )
    what.add_argument("--sbom", action="store_true", help="what it is made of: CycloneDX 1.6 with a model card")
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from hf_pack import api, wiring
    from hf_pack.steps.stored.contents import stored_contents
    from hf_pack.steps.workspace.targets import resolve

    if arguments.provenance or arguments.sbom:
        from hf_pack.api import proofs

        document = proofs.provenance if arguments.provenance else proofs.bill_of_materials
        print_json(document(arguments.name, store=arguments.store))
        return 0
    if "/" in arguments.name or "@" in arguments.name:
        store = wiring.open_store(arguments.store)
        target = resolve(arguments.name, wiring.optional_workspace(Path()), store)
        _show_stored(stored_contents(target.store_path, store), arguments)
    else:
        _show_package(api.plan(arguments.name), arguments)
    return 0


def _show_stored(contents: StoredContents, arguments: argparse.Namespace) -> None:
    from hf_pack.steps.stored.package_model import engine_parameters, summary_of_object

    model = summary_of_object(contents)
    if arguments.json:
        print_json({"store_path": contents.store_path, "model": model, **contents.provenance})
        return
    table(
        [
            ("store path", str(contents.store_path)),
            ("repo id", str(contents.provenance.get("repo_id"))),
            ("snapshot id", str(contents.provenance.get("snapshot_id"))),
            ("licence", str(contents.provenance.get("licence") or "not stated")),
            *_model_rows(model),
            *(("note", note) for note in model.notes),
            *(("engine", f"{runtime}: {_settings(table)}") for runtime, table in engine_parameters(contents).items()),
            ("size", size_words(sum(digest.size for digest in contents.files.values()))),
        ]
    )
    table([("", path, size_words(digest.size)) for path, digest in contents.files.items()], right=frozenset({2}))


def _settings(parameters: JsonObject) -> str:
    return ", ".join(f"{key}={value}" for key, value in parameters.items())


def _show_package(package: Package, arguments: argparse.Namespace) -> None:
    from hf_pack.steps.workspace.targets import known_store_path

    lock, manifest, model = package.lock, package.manifest, package.lock.model
    store_path = known_store_path(package)
    if arguments.json:
        print_json(
            {
                "name": package.name,
                "pname": manifest.pname,
                "version": package.version,
                "build_meta": package.build_meta,
                "layout": manifest.layout,
                "storage": manifest.storage,
                "triton_model_name": manifest.triton_model_name,
                "store_path": store_path,
                "repo_id": str(lock.source.repo_id),
                "snapshot_id": lock.source.snapshot_id,
                "snapshot_kind": lock.source.snapshot_kind,
                "licence": lock.licence,
                "model": model,
                "engine_parameters": manifest.engine_parameters,
                "files": [{"path": file.path, "size": file.size, "sha256": file.sha256.hex()} for file in lock.files],
                "omitted": lock.omitted,
                "patches": lock.patches,
                "provenance": dict(lock.provenance),
            }
        )
        return
    rows = [
        ("package", f"{manifest.pname} {package.version} (build {package.build_meta.build_version})"),
        ("changelog", package.build_meta.changelog),
        ("store path", str(store_path or "known after the first build (self-contained)")),
        ("layout", f"{manifest.layout.value}, {manifest.storage.value}"),
        ("source", f"{lock.source.repo_id} at {lock.source.snapshot_id} ({lock.source.snapshot_kind.value})"),
        ("licence", lock.licence or "not stated"),
        *_model_rows(model),
        ("engine", _settings(manifest.vllm) or "no parameters"),
    ]
    rows += [("patch", f"{patch.file}: {patch.reason}") for patch in lock.patches]
    rows += [("note", note) for note in model.notes]
    rows += [("provenance", f"{key}: {value}") for key, value in lock.provenance]
    table(rows)
    print()
    table(
        [(file.path, size_words(file.size), file.sha256.hex()[:16] + "…") for file in lock.files],
        right=frozenset({1}),
    )


def _model_rows(model: ModelSummary) -> list[tuple[str, str]]:
    """What headers and configuration say of the model."""
    words = [model.quantization_method]
    words += [f"{model.quantization_bits} bits"] if model.quantization_bits else []
    words += [f"groups of {model.quantization_group_size}"] if model.quantization_group_size else []
    words += [f"{model.quantization_activations} activations"] if model.quantization_activations else []
    words += ["broken, see the notes"] if model.quantization_broken else []
    return [
        ("model", ", ".join(model.architectures) or model.model_type or "unknown"),
        ("parameters", f"{model.parameters:,}" if model.parameters is not None else "unknown"),
        (
            "dtype",
            ", ".join(f"{dtype} {size_words(size)}" for dtype, size in model.bytes_by_dtype)
            or (model.dtype or "unknown"),
        ),
        ("quantization", ", ".join(words)),
        ("context length", f"{model.context_length:,} tokens" if model.context_length else "unknown"),
    ]


COMMAND = Command(
    name="show",
    summary="what a package is: model, files, patches, engine parameters",
    description="What manifest, lock and build metadata say about a package, or what a store object says of itself.",
    examples=(
        "hf-pack show my-model",
        "hf-pack show my-model --json",
        "hf-pack show my-model --sbom > my-model.cdx.json",
    ),
    arguments=_arguments,
    run=_run,
)
