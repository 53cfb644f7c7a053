"""``hf-pack export --to k8s``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.output import print_json, talk
from hf_pack.cli.serving import RUNTIMES

if TYPE_CHECKING:
    from hf_pack.gpu.check import Check
    from hf_pack.steps.serving.served_package import ServedPackage


def kubernetes_arguments(parser: argparse._ArgumentGroup) -> None:
    """What a cluster is told."""
    parser.add_argument("--runtime", choices=RUNTIMES, help="what serves it (default: vllm)")
    parser.add_argument("--image", metavar="REF", help="the published image of the package, mounted as a volume")
    parser.add_argument(
        "--from", dest="pull_from", metavar="URL", help="or: the cache that an init container pulls from"
    )
    parser.add_argument("--pull-image", metavar="REF", help="with --from: an image that has hf-pack")
    parser.add_argument("--claim", metavar="NAME", help="with --from: a PersistentVolumeClaim (default: an emptyDir)")
    parser.add_argument("--runtime-image", metavar="REF", help="the runtime's image (default: its official one)")
    parser.add_argument(
        "--gpu",
        action="append",
        metavar="GPU",
        default=[],
        help='the cluster\'s, as check takes it ("2x H100"): memory and GPUs follow from the fit; refused without one',
    )
    parser.add_argument(
        "--gpus",
        type=_count,
        metavar="N",
        help="GPUs of the server (default: of --gpu, else the parallelism that is stated)",
    )
    parser.add_argument("--kserve", action="store_true", help="a KServe InferenceService instead of a Deployment")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number of GPUs, found {text!r}")
    return int(text)


def to_kubernetes(arguments: argparse.Namespace) -> int:
    """Print the manifests of one package."""
    from hf_pack import wiring
    from hf_pack.cli.names import chosen
    from hf_pack.errors import UsageError
    from hf_pack.steps.exporting import kubernetes
    from hf_pack.steps.serving.served_package import served_package
    from hf_pack.steps.workspace.locate import locate

    workspace, store = wiring.optional_workspace(Path()), wiring.open_store(arguments.store)
    names = arguments.names or chosen(arguments)
    if len(names) != 1:
        raise UsageError("one package a manifest", hint="hf-pack export NAME --to k8s --image REF")
    package = served_package(locate(names[0], workspace, store), store)
    runtime = arguments.runtime or RUNTIMES[0]
    wanted = kubernetes.Wanted(
        runtime=runtime,
        fit=_fit(package, runtime, arguments) if arguments.gpu else None,
        image=arguments.image,
        pull_from=arguments.pull_from,
        pull_image=arguments.pull_image,
        claim=arguments.claim,
        runtime_image=arguments.runtime_image,
        gpus=arguments.gpus,
        kserve=arguments.kserve,
    )
    plain = (
        re.sub(r"[^a-z0-9]+", "-", names[0].rpartition("/")[2].partition("@")[0].lower()).strip("-")[-50:].strip("-")
    )
    text = kubernetes.to_kubernetes(package, plain if plain[:1].isalpha() else f"m-{plain}", store, wanted)
    if arguments.json:
        print_json({"manifests": text})
    else:
        print(text, end="")
    return 0


def _fit(package: ServedPackage, runtime: str, arguments: argparse.Namespace) -> Check:
    from hf_pack.api import checking
    from hf_pack.cli.start_check import require_fit

    answer = checking.check(str(package.store_path), gpus=arguments.gpu, runtime=runtime, store=arguments.store)
    require_fit(answer, hint="other engine parameters in its manifest, or another --gpu")
    for reason in answer.reasons:
        if reason.level == "warning":
            talk(f"warning: {reason}")
    return answer
