"""Which models the Hub knows to be quantized from another: one request of its list of models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hf_pack.adapters.hub.client import ask_client, open_client
from hf_pack.adapters.hub.hub_errors import Place, offline_error
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.retrying import Waits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.model.hub_ids import HubIdError, RepoId
from hf_pack.ports import RelatedModel


class HubRelations:
    """Implements :class:`hf_pack.ports.ModelRelations`. ``note`` is told when the Hub asks to wait."""

    def __init__(self, settings: HubSettings, limits: Limits, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._limits = limits
        self._waits = Waits(note)

    def quantized(self, repo_id: RepoId, limit: int) -> tuple[RelatedModel, ...]:
        """See :class:`hf_pack.ports.ModelRelations`."""
        settings = self._settings
        place = Place(
            endpoint=settings.endpoint, repo_id=str(repo_id), revision="main", logged_in=settings.token is not None
        )
        if settings.offline:
            raise offline_error(place)
        with open_client(settings, self._limits) as client:
            listed = ask_client(
                lambda: list(
                    client.list_models(
                        filter=f"base_model:quantized:{repo_id}",
                        sort="downloads",
                        limit=limit,
                        expand=["config", "safetensors", "downloads", "tags"],
                    )
                ),
                self._limits,
                self._waits,
                place,
            )
        return tuple(found for model in listed if (found := _related(model)) is not None)


def _related(model: Any) -> RelatedModel | None:
    """What others write about their models is checked; one that says nonsense is left out."""
    try:
        repo_id = RepoId.parse(model.id)
    except (HubIdError, TypeError):
        return None
    config, stated = model.config, getattr(model.safetensors, "parameters", None)
    parameters = {
        dtype: count
        for dtype, count in (stated.items() if isinstance(stated, dict) else ())
        if isinstance(dtype, str) and isinstance(count, int) and count >= 0
    }
    return RelatedModel(
        repo_id=repo_id,
        downloads=model.downloads if isinstance(model.downloads, int) else 0,
        tags=tuple(tag for tag in model.tags or () if isinstance(tag, str)),
        config=config if isinstance(config, dict) else {},
        parameters=parameters,
    )
