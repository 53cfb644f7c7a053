#!/bin/sh
# Newer Nix than this Debian's, beside it: the packages of trixie (2.26) and of forky (2.34 or newer), from the mirror that
# the machine has its own from, unpacked into .build and run by their own dynamic linker. Nothing is installed and no root is
# needed. Prints the directories of their programs, separated by colons; says why when one cannot be had.
set -eu
cd "$(dirname "$0")/.."

no() {
  echo "no newer Nix for the tests: $1" >&2
  exit 1
}

# The directory of the programs of one release; in a process of its own.
get() (
  SUITE=$1
  HERE=$PWD/.build/nix-$SUITE
  if [ ! -e "$HERE/.done" ]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || no "this is no Debian"
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    [ "$codename" != $SUITE ] || no "the machine's own is that of $SUITE"
    # The mirror from which the machine gets its own release.
    mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      sed -n "s|^$codename main \(.*/debian/*\)\$|\1|p" | head -n 1)
    [ -n "$mirror" ] || no "apt has no mirror of Debian $codename"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    signed=
    [ ! -e $keys ] || signed="[signed-by=$keys]"

    rm -rf "$HERE"
    mkdir -p "$HERE/state/lists/partial" "$HERE/cache/archives/partial" "$HERE/root" "$HERE/bin"
    echo "deb $signed $mirror $SUITE main" >"$HERE/sources.list"
    apt() {
      timeout 120 apt-get -qq -o Dir::State="$HERE/state" -o Dir::State::status=/dev/null -o Dir::Cache="$HERE/cache" \
        -o Dir::Etc::sourcelist="$HERE/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o Acquire::Languages=none -o Acquire::Retries=2 "$@" >&2
    }
    # A mirror that has lost a file says so with a warning alone: what is there afterwards decides.
    apt update || no "the package lists of $SUITE cannot be had from the machine's mirror"
    apt install --yes --download-only nix-bin || no "nix-bin of $SUITE cannot be had from the machine's mirror"
    for package in "$HERE"/cache/archives/*.deb; do
      case ${package##*/} in
        perl* | libperl* | init-system* | adduser* | passwd* | debconf* | dpkg* | tar_*) ;; # of no use to the program
        *) dpkg-deb -x "$package" "$HERE/root" || no "a package of $SUITE cannot be unpacked" ;;
      esac
    done
    rm -rf "$HERE/state" "$HERE/cache"

    linker=$(find "$HERE/root" -name 'ld-linux-*.so.*' | head -n 1)
    libraries=$(dirname "$(find "$HERE/root" -name 'libc.so.6' | head -n 1)")
    # Its programs are one program by several names. It must not look for itself where the machine's own is.
    for name in nix nix-build nix-daemon nix-env nix-instantiate nix-store; do
      cat >"$HERE/bin/$name" <<END
#!/bin/sh
export NIX_CONFIG="\$NIX_CONFIG
build-hook =
sandbox-paths =
"
exec "$linker" --library-path "$libraries" --argv0 $name "$HERE/root/usr/bin/nix" "\$@"
END
      chmod +x "$HERE/bin/$name"
    done
    NIX_CONFIG="" "$HERE/bin/nix-store" --version >&2 || no "that of $SUITE does not run here"
    touch "$HERE/.done"
  fi
  echo "$HERE/bin"
)

found=
for suite in trixie forky; do
  directory=$(get "$suite") || continue
  found=$found${found:+:}$directory
done
echo "$found"
