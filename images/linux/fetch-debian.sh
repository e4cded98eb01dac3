#!/usr/bin/env bash
# Downloads Debian packages of another architecture without installing anything and without root.
#
#   usage: fetch-debian.sh DIR SUITE ARCHITECTURE PACKAGE...      leaves DIR/PACKAGE.deb and DIR/PACKAGE.version
#
# A package that only depends on the wanted one (linux-image-686) is given as PACKAGE/PATTERN: then its dependency
# whose name matches the shell pattern is fetched, as PACKAGE.deb. apt uses private lists from the mirror this
# machine is configured for and checks the signatures. What is in DIR already is not fetched again.
set -euo pipefail

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'fetch-debian: %s\n' "$*" >&2; }
fail() { say "$1"; exit 1; }

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

# The package to fetch for one argument: itself, or the dependency its pattern names.
wanted() { # PACKAGE[/PATTERN]
  local package=${1%%/*} pattern dependency
  [ "$package" != "$1" ] || { echo "$package"; return; }
  pattern=${1#*/}
  for dependency in $(apt-cache "${options[@]}" depends "$package" | sed -nE 's/^ *Depends: *//p'); do
    # shellcheck disable=SC2254  # a pattern on purpose
    case $dependency in $pattern) echo "$dependency"; return ;; esac
  done
  return 1
}

fetch_from() { # MIRROR PACKAGE...: downloads into $work/apt, then moves everything to DIR at once
  local apt=$work/apt argument name package
  rm -rf "$apt" && mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/empty" "$apt/new"
  echo "deb [arch=$architecture signed-by=$keyring] $1 $suite main" >"$apt/sources.list"
  options=(-qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/empty"
    -o Dir::State::lists="$apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$apt"
    -o Dir::Cache::archives="$apt/archives" -o APT::Sandbox::User=root -o APT::Architecture="$architecture"
    -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::Retries=3)
  shift
  apt-get "${options[@]}" update >&2 || return 1
  for argument in "$@"; do
    name=${argument%%/*}
    package=$(wanted "$argument") || { say "nothing that $name depends on matches ${argument#*/}"; return 1; }
    rm -rf "$apt/one" && mkdir "$apt/one"
    (cd "$apt/one" && apt-get "${options[@]}" download "$package" >&2) || return 1
    mv "$apt/one/"*.deb "$apt/new/$name.deb"
    dpkg-deb -f "$apt/new/$name.deb" Package Version | sed -E 's/^[A-Za-z]+: //' | paste -sd' ' >"$apt/new/$name.version"
  done
  mv "$apt/new/"* "$dir/"
}

[ $# -ge 4 ] || { say 'usage: fetch-debian.sh DIR SUITE ARCHITECTURE PACKAGE...'; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd) suite=$2 architecture=$3
shift 3
missing=()
for argument in "$@"; do [ -f "$dir/${argument%%/*}.version" ] || missing+=("$argument"); done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail 'apt-get and dpkg-deb are needed to fetch Debian packages'
[ -f "$keyring" ] || fail "no Debian archive keyring ($keyring) on this machine"
work=$dir/.fetch
trap 'rm -rf "$work"' EXIT
for attempt in 1 2 3; do
  for mirror in $(mirrors); do
    mkdir -p "$work"
    fetch_from "$mirror" "${missing[@]}" && exit 0
  done
  say "attempt $attempt failed"
  sleep "$attempt"
done
fail "no configured Debian mirror delivered ${missing[*]} for $architecture"
