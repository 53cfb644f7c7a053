"""The workspace file's name, and what a new one starts with. Apart from its reader, which most commands do not need."""

from __future__ import annotations

FILE_NAME = "hf-pack.toml"

#: What a new workspace starts with.
NEW_TEXT = """\
# A workspace of hf-pack: models/<name>.toml says what is packaged, as what. Everything here is optional.

# caches = ["https://cache.example.org"]     # binary caches to ask for weights, in this order
# mirrors = ["https://mirror.example.org"]   # Hub endpoints to ask before the Hub; they get no token

# [policy]
# allow_licences = ["apache-2.0", "mit"]     # `build` refuses any other
# deny_licences = ["other"]
# publish_deny_licences = ["agpl-3.0"]       # these stay here; publish_allow_licences may go to others
# deny = ["remote_code", "pickle"]           # what no manifest can allow
"""
