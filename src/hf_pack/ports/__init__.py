"""The ports: what the steps ask of the outside world.

Every method is about values of :mod:`hf_pack.model` and :mod:`hf_pack.formats`; adapters raise only
:class:`hf_pack.errors.Error`.
"""

from __future__ import annotations

from hf_pack.ports.caching import ObjectCache
from hf_pack.ports.fetching import BlobFinder, BlobSource, ByteRange, Reception, WantedBlob, joined
from hf_pack.ports.machine import GpuLister, LocalGpu, LocalGpus
from hf_pack.ports.progress import Progress
from hf_pack.ports.relations import ModelRelations, RelatedModel
from hf_pack.ports.scanning import PickleScanner, Scanned
from hf_pack.ports.serving import Machine, Server
from hf_pack.ports.shipping import SMALL, NarPacker, ObjectStorage, PackedNar, Readable
from hf_pack.ports.signing import BundleSigner, BundleVerifier
from hf_pack.ports.sources import Source, SourceFile, SourceListing, Sources
from hf_pack.ports.stores import AddedBlob, AddedTree, FileToAdd, HashedFile, PackageFiles, Store, TreeStreamer
from hf_pack.ports.workspace import Workspace

__all__ = [
    "SMALL",
    "AddedBlob",
    "AddedTree",
    "BlobFinder",
    "BlobSource",
    "BundleSigner",
    "BundleVerifier",
    "ByteRange",
    "FileToAdd",
    "GpuLister",
    "HashedFile",
    "LocalGpu",
    "LocalGpus",
    "Machine",
    "ModelRelations",
    "NarPacker",
    "ObjectCache",
    "ObjectStorage",
    "PackageFiles",
    "PackedNar",
    "PickleScanner",
    "Progress",
    "Readable",
    "Reception",
    "RelatedModel",
    "Scanned",
    "Server",
    "Source",
    "SourceFile",
    "SourceListing",
    "Sources",
    "Store",
    "TreeStreamer",
    "WantedBlob",
    "Workspace",
    "joined",
]
