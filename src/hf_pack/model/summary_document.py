"""A :class:`~hf_pack.model.lock.ModelSummary` as JSON: in locks, in packages and in a cache's index.

Law: ``read(Table(document(summary), …)) == summary``.
"""

from __future__ import annotations

from dataclasses import fields

from hf_pack.model.document import Table
from hf_pack.model.json_value import JsonValue
from hf_pack.model.lock import ModelSummary


def document(model: ModelSummary) -> dict[str, JsonValue]:
    """Every field by its name; pairs are lists of two."""
    return {field.name: _json(getattr(model, field.name)) for field in fields(ModelSummary)}


def read(table: Table) -> ModelSummary:
    """The value; what is wrong goes to the table's problems."""
    table.refuse_unknown([field.name for field in fields(ModelSummary)])
    return ModelSummary(
        architectures=table.texts("architectures"),
        model_type=table.optional_text("model_type"),
        dtype=table.optional_text("dtype"),
        context_length=table.optional_whole("context_length"),
        parameters=table.optional_whole("parameters"),
        bytes_by_dtype=table.pairs("bytes_by_dtype", int, "bytes"),
        quantization_method=table.text("quantization_method"),
        quantization_scheme=table.text("quantization_scheme"),
        quantization_bits=table.optional_whole("quantization_bits"),
        quantization_group_size=table.optional_whole("quantization_group_size"),
        quantization_activations=table.optional_text("quantization_activations"),
        quantization_broken=table.flag("quantization_broken"),
        weight_parts=table.pairs("weight_parts", int, "bytes"),
        notes=table.texts("notes"),
    )


def _json(value: JsonValue) -> JsonValue:
    """Tuples as lists: a document that was read back is the same."""
    return [_json(inner) for inner in value] if isinstance(value, tuple) else value
