"""All that a store object refers to, and itself."""

from __future__ import annotations

from hf_pack.errors import StoreError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Store


def closure(store_path: StorePath, store: Store) -> tuple[PathInfo, ...]:
    """What is referred to stands before what refers to it, the object itself last. Raises StoreError for what is not
    valid."""
    found: dict[StorePath, PathInfo] = {}
    waiting: list[StorePath | PathInfo] = [store_path]
    while waiting:
        item = waiting.pop()
        if isinstance(item, PathInfo):
            found[item.store_path] = item
        elif item not in found:
            info = store.path_info(item)
            if info is None:
                needs = "does not hold it" if item == store_path else f"{store_path} needs it"
                raise StoreError(
                    f"{item} is not in the store\n  {store.url}: {needs}", hint=f"hf-pack verify {store_path}"
                )
            waiting.append(info)
            waiting += [reference for reference in reversed(info.references) if reference not in (item, *found)]
    return tuple(found.values())
