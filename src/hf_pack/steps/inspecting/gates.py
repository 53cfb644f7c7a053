"""What in a model's files may do harm to who loads it: looks, and leaves the verdict to the terms.

Nothing is loaded or run: pickles are read as programs, templates are parsed, Python is only named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hf_pack.errors import SourceError
from hf_pack.model.file_names import shown
from hf_pack.model.gates import Finding, Gate, Terms
from hf_pack.model.manifest import Allow, Selection
from hf_pack.model.strict_json import DuplicateKey, StrictJsonError, loads
from hf_pack.model.weight_formats import weight_format
from hf_pack.ports import PickleScanner, Scanned, Source
from hf_pack.steps.inspecting.remote_code import foreign_code
from hf_pack.weights.chat_template import escapes, is_template, may_hold_templates, templates_in_config
from hf_pack.weights.weights_error import HeaderError


def as_it_is(path: str, contents: bytes) -> bytes:  # noqa: ARG001 - the path decides elsewhere
    """For a package without patches."""
    return contents


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What a package's gates are made of beside its manifest: who looks into pickles, and what policy denies."""

    scanner: PickleScanner | None = None
    denied: tuple[Gate, ...] = ()

    def gates(self, selection: Selection, allow: Allow, finished: Callable[[str, bytes], bytes] | None = None) -> Gates:
        """The gates of one package. ``finished`` gives a file's bytes as they will be packaged, patches applied."""
        terms = Terms(allow_pickle=selection.allow_pickle, allow=allow, denied=self.denied)
        return Gates(terms=terms, scanner=self.scanner, finished=finished or as_it_is)


NO_GUARD = Guard()  #: no policy, and nobody who looks into pickles


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The terms, who looks into pickles, and the bytes that a file will be packaged with (path and source's bytes)."""

    terms: Terms = field(default_factory=Terms)
    scanner: PickleScanner | None = None
    finished: Callable[[str, bytes], bytes] = as_it_is

    def pickle(self, source: Source, path: str) -> Iterator[Finding]:
        """Findings of a file that is pickle by name or content; only one that is allowed is looked into."""
        named = weight_format(path)
        what = "weights in pickle format" if named is not None and named.is_pickle else "a pickle by its content"
        found = Finding(file=path, gate=Gate.PICKLE, reason=f"{what}, which can run code when it is loaded")
        yield found
        if not self.terms.allows(found):
            return
        if self.scanner is None:
            scanned = Scanned(problem="there is no scanner")
        else:
            try:
                with source.open(path) as stream:
                    scanned = self.scanner.scan(stream)
            except OSError as error:
                raise SourceError(f"{shown(path)}: cannot be read ({error.strerror})") from None
        for name in scanned.names:
            reason = f"a pickle that uses {name}, which loading tensors does not take"
            yield Finding(file=path, gate=Gate.PICKLE_GLOBAL, reason=reason, name=name)
        if scanned.problem is not None:
            reason = f"a pickle of which nobody can tell what it does: {scanned.problem}"
            yield Finding(file=path, gate=Gate.UNSCANNED_PICKLE, reason=reason)

    def code(self, source: Source, packaged: Sequence[str]) -> Iterator[Finding]:
        """The Python files among the packaged ones, and other repositories whose code the configuration names."""
        for path in packaged:
            if path.endswith((".py", ".pyi")):
                reason = "Python of the model's own, which runs with trust_remote_code"
                yield Finding(file=path, gate=Gate.REMOTE_CODE, reason=reason)
        for path, repo in foreign_code(packaged, source.read):
            reason = f"its auto_map takes Python from another repository, {repo}, which is not packaged"
            yield Finding(file=path, gate=Gate.REMOTE_CODE, reason=reason)

    def text(self, path: str, contents: bytes) -> Iterator[Finding]:
        """Findings of a template, or of settings that may hold one."""
        contents = self.finished(path, contents)
        templates: tuple[str, ...] = ()
        if is_template(path):
            templates = (contents.decode("utf-8", "replace"),)
        elif may_hold_templates(path):
            try:
                templates = templates_in_config(loads(contents, duplicate_keys=True))
            except StrictJsonError:
                return  # said where it is read as JSON
        yield from self.templates(path, templates)

    def templates(self, path: str, templates: Sequence[str]) -> Iterator[Finding]:
        """Findings of the chat templates of a file, each reason once."""
        for reason in dict.fromkeys(filter(None, map(escapes, templates))):
            yield Finding(file=path, gate=Gate.TEMPLATE, reason=reason)

    def json(self, path: str, contents: bytes) -> Iterator[Finding]:
        """Duplicate keys in JSON of no meaning to this tool. Raises HeaderError for what is no JSON or too deep."""
        try:
            loads(contents)
        except DuplicateKey as error:
            yield Finding(file=path, gate=Gate.DUPLICATE_KEY, reason=f"JSON of two meanings: {error}")
            try:
                loads(contents, duplicate_keys=True)
            except StrictJsonError as broken:
                raise HeaderError(f"JSON: {broken}") from None
        except StrictJsonError as error:
            raise HeaderError(f"JSON: {error}") from None
