#!/usr/bin/env bash
# Provides the CPU engine, Unicorn 2.1.4 as a static library, without installing anything and without root.
#
#   usage: get-unicorn.sh DIR          writes DIR/unicorn.mk: include directory, library, version, sha256
#                                      (make sets UNICORN_DIR to DIR, so the tree can be moved)
#
# In this order: UNICORN_PREFIX=PREFIX (a build of your own), a system package found by pkg-config, and else
# Debian sid's binary package, fetched by apt with private lists from the mirror this machine is configured
# for; apt checks the signatures. What was fetched stays in DIR: a second call needs no network.
set -euo pipefail

version=2.1.4
# libunicorn.a of Debian's 2.1.4-4, amd64. Another build of 2.1.4 is named and accepted: the core checks
# the engine's layout at every start, and replicas with different engines refuse each other.
known_sha256=f5fa64c270cbdd158c81b4851f8432c7df65f725685c2a19caa2860c1d07d801
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'get-unicorn: %s\n' "$*" >&2; }
fail() {
  say "$1"
  say "Alternative: build Unicorn $version (static) and set UNICORN_PREFIX=DIR, with DIR/include and DIR/lib/libunicorn.a."
  exit 1
}

# Finds libunicorn.a below a prefix; distributions differ in the directory.
library_below() { find -L "$1" -name libunicorn.a -path '*lib*' 2>/dev/null | sort | head -1; }

# Refuses an archive that cannot work, then writes the description make includes.
finish() { # INCLUDE LIBRARY VERSION
  local include=$1 library=$2 found=$3 sha256
  [ -f "$include/unicorn/unicorn.h" ] || fail "no header unicorn/unicorn.h in $include"
  [ -f "$library" ] || fail "no static library libunicorn.a (found: ${library:-nothing})"
  case $found in
    "$version" | "$version"-* | "$version"+*) ;;
    *) fail "found Unicorn $found, needed is $version" ;;
  esac
  # Not "nm | grep -q": nm would die of the closed pipe, which pipefail reports.
  [ "$(nm "$library" 2>/dev/null | grep -c 'T helper_check_exit_request_x86_64')" -ge 1 ] ||
    fail "$library does not contain the x86-64 target"
  sha256=$(sha256sum "$library" | cut -d' ' -f1)
  if [ "$sha256" != "$known_sha256" ]; then
    say "note: this is Unicorn $found with sha256 $sha256, not the tested build ($known_sha256)"
  fi
  mkdir -p "$dir"
  printf 'UNICORN_INCLUDE = %s\nUNICORN_LIBRARY = %s\nUNICORN_VERSION = %s\nUNICORN_SHA256 = %s\n' \
    "${include/#$dir/\$(UNICORN_DIR)}" "${library/#$dir/\$(UNICORN_DIR)}" "$found" "$sha256" >"$dir/unicorn.mk.new"
  mv "$dir/unicorn.mk.new" "$dir/unicorn.mk"
}

# Base URIs of the configured Debian archives, best guess first. apt itself answers only when it has lists;
# before the first "apt-get update" its sources are read: one-line lists and deb822 files.
mirrors() {
  {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null || true
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      sed -nE 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p' || true
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '
      /^[^[:space:]#][^:]*:/ { inside = tolower($1) == "uris:"; if (inside) $1 = "" }
      /^#/ { next }
      inside { for (i = 1; i <= NF; i++) if ($i != "") print $i }' || true
  } | sed 's#/*$#/#' | grep -v security | awk '!seen[$0]++' |
    awk '/debian\/$/ { print; next } { rest[++n] = $0 } END { for (i = 1; i <= n; i++) print rest[i] }'
}

fetch_from() { # MIRROR: downloads and unpacks into $work
  local apt=$work/apt
  rm -rf "$apt" && mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/empty"
  echo "deb [arch=$architecture signed-by=$keyring] $1 sid main" >"$apt/sources.list"
  local options=(-qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/empty"
    -o Dir::State::lists="$apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$apt"
    -o Dir::Cache::archives="$apt/archives" -o APT::Sandbox::User=root -o APT::Architecture="$architecture"
    -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::Retries=3)
  apt-get "${options[@]}" update >&2 || return 1
  found=$(apt-cache "${options[@]}" policy libunicorn-dev | sed -nE 's/^ *Candidate: *//p')
  case $found in
    "$version"-*) ;;
    *) fail "Debian sid now has Unicorn ${found:-(nothing)}, needed is $version" ;;
  esac
  (cd "$apt" && apt-get "${options[@]}" download libunicorn-dev >&2) || return 1
  dpkg-deb -x "$apt"/libunicorn-dev_*.deb "$work/tree"
}

fetch_debian() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail 'no apt on this machine to fetch the engine with'
  [ -f "$keyring" ] || fail "no Debian archive keyring ($keyring) on this machine"
  architecture=$(dpkg --print-architecture)
  [ "$architecture" = amd64 ] || fail "the layout of the engine is known for amd64 hosts only, this is $architecture"
  work=$dir/.fetch
  trap 'rm -rf "$dir/.fetch"' EXIT
  local mirror attempt
  for attempt in 1 2 3; do
    for mirror in $(mirrors); do
      rm -rf "$work" && mkdir -p "$work"
      if fetch_from "$mirror"; then
        rm -rf "$dir/usr" && mv "$work/tree/usr" "$dir/usr"
        finish "$dir/usr/include" "$(library_below "$dir/usr")" "$found"
        return
      fi
    done
    say "attempt $attempt failed"
    sleep "$attempt"
  done
  fail 'no configured Debian mirror delivered libunicorn-dev'
}

header_version() { # INCLUDE: "2.1.4" from the header's macros
  sed -nE 's/^#define UC_API_(MAJOR|MINOR|PATCH) ([0-9]+).*/\2/p' "$1/unicorn/unicorn.h" | paste -sd.
}

[ $# = 1 ] || { say 'usage: get-unicorn.sh DIR'; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
if [ -n "${UNICORN_PREFIX:-}" ]; then
  prefix=$(cd "$UNICORN_PREFIX" && pwd) || fail "UNICORN_PREFIX=$UNICORN_PREFIX is not a directory"
  finish "$prefix/include" "$(library_below "$prefix")" "$(header_version "$prefix/include")"
elif [ -f "$dir/unicorn.mk" ]; then
  exit 0
elif pkg-config --exact-version=$version unicorn 2>/dev/null && [ -f "$(pkg-config --variable=libdir unicorn)/libunicorn.a" ]; then
  include=$(pkg-config --variable=includedir unicorn)
  finish "$include" "$(pkg-config --variable=libdir unicorn)/libunicorn.a" "$version"
else
  fetch_debian
fi
