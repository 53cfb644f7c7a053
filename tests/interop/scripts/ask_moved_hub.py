"""Ask for a model whose upstream moved, as a runtime does that forgot to be offline. Prints what came of it."""

import sys
from collections.abc import Callable

from huggingface_hub import hf_hub_download, snapshot_download

repo_id, file = sys.argv[1:]
asks: dict[str, Callable[[], object]] = {
    "snapshot": lambda: snapshot_download(repo_id),
    "file": lambda: hf_hub_download(repo_id, file),
}
for name, ask in asks.items():
    try:
        ask()
    except OSError as error:
        print(name, type(error).__name__)
    else:
        print(name, "ok")
