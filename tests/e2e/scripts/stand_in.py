"""Stands in for a package of which text models use nothing but the import: every name is there, and is nothing."""

__version__ = "0.0"


class _Kind(type):
    def __getattr__(cls, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class _Anything(metaclass=_Kind):
    pass


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Anything
