"""What the index of a cache says of a package's model, so that `check` answers from it alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from hf_pack.model import summary_document
from hf_pack.model.document import Table
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.lock import ModelSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """``summary`` is the headers' (without parts where they were not read), ``weight_size`` bytes of the weight files.

    ``config`` is the part of the model's own config.json that decides memory (:mod:`hf_pack.weights.outline`),
    ``engine_parameters`` the package's tables by runtime.
    """

    summary: ModelSummary
    weight_size: int
    config: JsonObject = field(default_factory=dict, hash=False)
    engine_parameters: JsonObject = field(default_factory=dict, hash=False)


def document(model: PublishedModel) -> dict[str, JsonValue]:
    """As it stands in an entry."""
    return {
        "summary": summary_document.document(model.summary),
        "weight_size": model.weight_size,
        "config": model.config,
        "engine_parameters": model.engine_parameters,
    }


def read(table: Table) -> PublishedModel:
    """The value; what is wrong goes to the table's problems."""
    table.refuse_unknown(("summary", "weight_size", "config", "engine_parameters"))
    return PublishedModel(
        summary=summary_document.read(table.table("summary")),
        weight_size=table.whole("weight_size"),
        config=table.json("config"),
        engine_parameters=table.json("engine_parameters"),
    )
