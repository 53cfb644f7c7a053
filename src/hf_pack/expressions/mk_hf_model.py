"""``mkHfModel``, for people who have files that call the builder of package-hf-models: the same arguments, no lock.

It packages what lies at a path of the machine that evaluates, as that builder does. Weights become objects of their
own by sha256 (one copy, shared with `hf-pack build`'s blobs), only the named snapshot is read, licence and card stay.
"""

from __future__ import annotations

from hf_pack.expressions.nix_texts import WRITTEN
from hf_pack.model.lock import WEIGHT_SUFFIXES

_TEXT = """\
@written@; the interface of package-hf-models' builder.
#
#   mkHfModel = pkgs.callPackage ./mkHfModel.nix { };
#
# Layout dual (vLLM, SGLang and Triton) with slug and snapshotId, else single (Triton). srcPath is a directory of the
# Hub's cache (models--…), one snapshot, or a flat directory; links to files are followed.
{ runCommand, ... }:
{ pname, baseVersion, buildMeta, srcPath, tritonModelName
, vllmDefaults ? { }, slug ? null, snapshotId ? null, meta ? { } }:
let
  version = "${baseVersion}+${buildMeta.git_rev_short}";
  dual =
    if (slug == null) != (snapshotId == null) then
      throw "${pname}: slug and snapshotId go together, or neither is given"
    else if builtins.match "hub|.*_(preprocessing|postprocessing|ensemble)" tritonModelName != null then
      throw "${pname}: ${tritonModelName} is no name for a model of Triton's"
    else slug != null;

  source =
    if !(builtins.pathExists (srcPath + "/snapshots")) then srcPath
    else srcPath + "/snapshots/${if dual then snapshotId else onlyName (builtins.readDir (srcPath + "/snapshots"))}";
  onlyName = entries:
    let names = builtins.attrNames entries; in
    if builtins.length names == 1 then builtins.head names
    else throw "${pname}: ${toString srcPath} has ${toString (builtins.length names)} snapshots, and none is named";

  # Relative paths of all files; names that begin with a dot are bookkeeping.
  filesIn = directory: prefix:
    let entries = builtins.readDir directory; in
    builtins.concatMap
      (name:
        if builtins.substring 0 1 name == "." then [ ]
        else if entries.${name} == "directory" then filesIn (directory + "/${name}") "${prefix}${name}/"
        else [ "${prefix}${name}" ])
      (builtins.attrNames entries);

  hasSuffix = suffix: text:
    let start = builtins.stringLength text - builtins.stringLength suffix; in
    start >= 0 && builtins.substring start (builtins.stringLength suffix) text == suffix;
  isWeights = path: builtins.any (suffix: hasSuffix suffix path) [ @suffixes@ ];

  # Names as the store takes them; for ASCII the rule is hf-pack's, so that equal weights are one object.
  storeName = path:
    let
      base = baseNameOf path;
      legal = builtins.concatStringsSep ""
        (map (part: if builtins.isList part then "-" else part) (builtins.split "[^0-9A-Za-z+._?=-]" base));
    in
    (if builtins.match "[.-].*" legal == null then "" else "_") + legal;
  object = path: builtins.path { path = source + "/${path}"; name = storeName path; recursive = false; };

  quoted = text: "'" + builtins.replaceStrings [ "'" ] [ "'\\\\''" ] text + "'";
  model = "share/models/${tritonModelName}";
  snapshotLink = "hub/models--${slug}/snapshots/${snapshotId}";
  snapshot = "share/models/${snapshotLink}";
  place = if dual then snapshot else "${model}/weights";
  bring = path:
    let target = "\\"$out\\"/${quoted "${place}/${path}"}"; in ''
      mkdir -p "$(dirname ${target})"
      ${if isWeights path then "ln --symbolic --relative" else "cp --no-preserve=mode"} ${object path} ${target}
    '';
  text = path: contents: ''
    mkdir -p "$(dirname "$out"/${quoted path})"
    printf %s ${quoted contents} > "$out"/${quoted path}
  '';
  repoId = builtins.replaceStrings [ "--" ] [ "/" ] slug;
  revision = if builtins.match "[0-9a-f]{40}" snapshotId != null then snapshotId else "main";
  configPbtxt = ''
@config@  '';
in
runCommand "${pname}-${version}" { preferLocalBuild = true; } (builtins.concatStringsSep "" (
  map bring (filesIn source "")
  ++ [
    (text "share/${pname}/flox-build-version-${toString buildMeta.build_version}" "${version}\\n")
    (text "${model}/config.pbtxt" configPbtxt)
    (text "${model}/model-defaults.json" (builtins.toJSON vllmDefaults + "\\n"))
  ]
  ++ (if !dual then [ ] else [
    (text "share/models/hub/models--${slug}/refs/main" snapshotId)
    "ln --symbolic ${quoted "../${snapshotLink}"} \\"$out\\"/${quoted "${model}/weights"}\\n"
    (text "share/triton/${tritonModelName}/config.pbtxt" configPbtxt)
    (text "share/triton/${tritonModelName}/1/model.json"
      (builtins.toJSON (vllmDefaults // { model = repoId; inherit revision; }) + "\\n"))
  ])
)) // { inherit pname version meta; }
"""


def mk_hf_model_nix(config_pbtxt: str) -> bytes:
    """The expression; ``config_pbtxt`` is the text that every package of a Triton layout has."""
    config = "".join(f"    {line}\n" for line in config_pbtxt.splitlines())
    suffixes = " ".join(f'"{suffix}"' for suffix in WEIGHT_SUFFIXES)
    return _TEXT.replace("@written@", WRITTEN).replace("@suffixes@", suffixes).replace("@config@", config).encode()
