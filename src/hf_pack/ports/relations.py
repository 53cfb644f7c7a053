"""How models descend from each other, as the Hub tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hf_pack.model.hub_ids import RepoId
    from hf_pack.model.json_value import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedModel:
    """A model that says of itself that it was quantized from another. ``parameters`` are values by safetensors dtype.

    ``config`` is the part of its config.json that the Hub lists: architectures, model_type, quantization_config.
    """

    repo_id: RepoId
    downloads: int
    tags: tuple[str, ...]
    config: JsonObject
    parameters: Mapping[str, int]


class ModelRelations(Protocol):
    """Asks a Hub."""

    def quantized(self, repo_id: RepoId, limit: int) -> tuple[RelatedModel, ...]:
        """Models that were quantized from this one, most downloaded first. One request. Raises HubError."""
