"""The Nix expressions of an export. They hold no data: ``package.nix`` reads the documents that lie beside it."""

from __future__ import annotations

from collections.abc import Iterable

from hf_pack.expressions.package_meta import SYSTEMS

WRITTEN = "# Written by `hf-pack export --to nix`"  #: the start of every file that an export may replace

#: What turns one package's data into a derivation. Both builders are Nix's own: no nixpkgs, no shell.
PACKAGE_BODY = """\
let
  package = builtins.fromJSON (builtins.readFile (directory + "/${name}.json"));

  # A file by its sha256. Its store path follows from name and sha256 alone, so a file that was added before, or that a
  # substituter has, is not fetched, and the address changes no path.
  fetched = endpoint: blob: derivation {
    inherit (blob) name;
    system = "builtin";
    builder = "builtin:fetchurl";
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = blob.sha256;
    url = "${endpoint}/${blob.path}";
    urls = [ "${endpoint}/${blob.path}" ];
    executable = "";
    unpack = "";
    preferLocalBuild = true;
    impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
  };

  # A file that a patch made, so that nobody else has it.
  local = blob: builtins.path {
    inherit (blob) name sha256;
    path = directory + "/${name}.files/${blob.file}";
    recursive = false;
  };

  blobs = endpoint: map (blob: if blob ? file then local blob else fetched endpoint blob) package.blobs;

  # Links to the blobs, and the small files.
  linked = { endpoint, contentAddressed, ... }: derivation ({
    inherit (package) name;
    system = "builtin";
    builder = "builtin:unpack-channel";
    src = directory + "/${name}.tar";
    channelName = "share";
    blobs = blobs endpoint;
    preferLocalBuild = true;
  } // (if !contentAddressed then { } else {
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  }));

  # One object with all bytes in it: the NAR of a binary cache, unpacked.
  unpacked = { cache, ... }: derivation {
    inherit (package) name;
    system = "builtin";
    builder = "builtin:fetchurl";
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    outputHash = package.nar.sha256;
    url = "${cache}/${package.nar.path}";
    urls = [ "${cache}/${package.nar.path}" ];
    executable = "";
    unpack = "1";
    preferLocalBuild = true;
    impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
  };

  # The same object, put together from the blobs by the shell and coreutils of nixpkgs.
  copied = { endpoint, pkgs, ... }:
    let
      quoted = text: "'" + builtins.replaceStrings [ "'" ] [ "'\\\\''" ] text + "'";
      files = blobs endpoint;
      copy = file: "cp --no-preserve=mode ${builtins.elemAt files file.blob} \\"$out\\"/${quoted file.path}\\n";
    in
    pkgs.runCommand package.name {
      outputHashMode = "recursive";
      outputHashAlgo = "sha256";
      outputHash = package.nar.sha256;
      layout = directory + "/${name}.tar";
      preferLocalBuild = true;
    } ''
      mkdir "$out"
      tar --extract --no-same-owner --file="$layout" --directory="$out"
      ${builtins.concatStringsSep "" (map copy package.copies)}'';

  build = arguments:
    (if !(package ? nar) then linked arguments
      else if arguments.pkgs == null then unpacked arguments
      else copied arguments)
    // {
      inherit (package) pname version meta;
      blobs = blobs arguments.endpoint;
      override = changes:
        let unknown = builtins.attrNames (builtins.removeAttrs changes (builtins.attrNames arguments)); in
        if unknown == [ ] then build (arguments // changes)
        else throw "${name}: override does not take ${toString unknown}";
    };
in
build {
  endpoint = builtins.head package.endpoints;
  cache = builtins.head (package.caches or [ "" ]);
  contentAddressed = false;
  pkgs = null;
}
"""

PACKAGE_NIX = (
    WRITTEN
    + """; the same for every package.
#
# import ./package.nix DIRECTORY NAME is the derivation of NAME, whose data lie in DIRECTORY: NAME.json, NAME.tar (the
# tree without the weights) and NAME.files (patched files). What its `override` takes:
#   endpoint           where files come from in place of the Hub, for example a mirror
#   cache              the binary cache that has the NAR of a self-contained package
#   pkgs               nixpkgs: put a self-contained package together from its files, with no cache
#   contentAddressed   true: a linked package gets the very store path of `hf-pack build` (feature ca-derivations)
directory: name:
"""
    + PACKAGE_BODY
)


def default_nix(names: Iterable[str]) -> bytes:
    """``default.nix``: the packages by manifest name; no argument."""
    lines = "".join(f'  "{name}" = package "{name}";\n' for name in sorted(names))
    return f"""\
{WRITTEN}; write it again after `hf-pack lock` and `bump`.
let
  package = import ./package.nix ./.;
in
{{
{lines}}}
""".encode()


def flake_nix(directory: str) -> bytes:
    """``flake.nix`` beside ``directory``, which holds ``default.nix``: the same packages for every system."""
    systems = " ".join(f'"{system}"' for system in SYSTEMS)
    return f"""\
{WRITTEN}.
{{
  description = "Model weights, packaged by hf-pack";

  outputs = {{ self }}: {{
    packages = builtins.listToAttrs (map (system: {{
      name = system;
      value = import {directory};
    }}) [ {systems} ]);

    lib.mkHfModel = import {directory}/mkHfModel.nix; # lib.mkHfModel pkgs {{ pname = …; }}
  }};
}}
""".encode()
