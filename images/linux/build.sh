#!/usr/bin/env bash
# The Linux guest from Debian's own packages, unmodified: kernel, its modules, a static busybox.
#
#   usage: build.sh DIR [FLAVOUR]      FLAVOUR is 686 or 686-pae
#     DIR/bzImage      the kernel of linux-image-FLAVOUR, as it is
#     DIR/vmlinux      its payload, unpacked: the ELF image for --payload
#     DIR/modules/     stock modules (modules.txt and what they need), modules.dep, modules.alias
#     DIR/initrd.gz    busybox, init, ft86-exit and the modules as a gzipped newc cpio archive
#     DIR/packages/    the Debian packages; a second build needs no network
#
# Nothing is installed and root is not needed. Needs apt-get and dpkg-deb (Debian or a relative of it), gcc, gzip, and
# xz for the kernel's payload.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite=bookworm

say() { printf 'linux guest: %s\n' "$*" >&2; }
fail() { say "$1"; exit 1; }

# One line of a module's own description, e.g. "depends": the .modinfo section is KEY=VALUE strings.
modinfo() { # FILE KEY
  tr '\0' '\n' <"$1" | LC_ALL=C sed -n "s/^$2=//p" # grep would call it binary
}
plain() { printf '%s' "${1//-/_}"; }

# Prints the names of the modules that $1 needs, deepest last, without repeats.
needs() { # NAME
  local direct deeper all=()
  for direct in $(modinfo "${file_of[$1]}" depends | tr ',' ' '); do
    direct=$(plain "$direct")
    [ -n "${file_of[$direct]:-}" ] || continue # built in
    all+=("$direct")
    for deeper in $(needs "$direct"); do all+=("$deeper"); done
  done
  # A module stays where it comes last: everything that needs it is before it.
  [ ${#all[@]} = 0 ] || printf '%s\n' "${all[@]}" | tac | awk '!seen[$0]++' | tac
}

collect_modules() { # TREE: modules, modules.dep and modules.alias into $new/modules
  local tree=$1 name other path wanted=() deps
  declare -gA file_of=()
  while read -r path; do
    name=$(basename "$path" .ko)
    file_of[$(plain "$name")]=$path
  done < <(find "$tree" -name '*.ko')
  [ ${#file_of[@]} -gt 0 ] || fail 'the kernel package has no plain .ko modules'
  mkdir -p "$new/modules"
  while read -r name; do
    name=$(plain "$name")
    [ -n "${file_of[$name]:-}" ] || { say "note: no module $name in this kernel"; continue; }
    wanted+=("$name")
    for other in $(needs "$name"); do wanted+=("$other"); done
  done < <(sed -E 's/#.*//; /^[[:space:]]*$/d' "$here/modules.txt")
  for name in $(printf '%s\n' "${wanted[@]}" | sort -u); do
    cp "${file_of[$name]}" "$new/modules/$name.ko"
    deps=$(needs "$name" | sed 's/.*/&.ko/' | paste -sd' ')
    echo "$name.ko: $deps" >>"$new/modules/modules.dep"
    modinfo "${file_of[$name]}" alias | sed "s/.*/alias & $name/" >>"$new/modules/modules.alias"
  done
}

# The kernel's payload by its own header: where it begins and how long it is (boot.rst, payload_offset).
unpack_payload() { # BZIMAGE OUT
  local sectors offset length start
  command -v xz >/dev/null || fail 'xz is needed to unpack the kernel (Debian: apt-get install xz-utils)'
  read -r sectors < <(od -An -tu1 -j$((0x1f1)) -N1 "$1")
  read -r offset length < <(od -An -tu4 -j$((0x248)) -N8 "$1")
  start=$(((sectors + 1) * 512 + offset))
  [ "$(od -An -tx1 -j$start -N6 "$1" | tr -d ' ')" = fd377a585a00 ] || fail 'the kernel is not packed with xz'
  # The last four bytes are the unpacked length.
  tail -c +$((start + 1)) "$1" | head -c $((length - 4)) | xz -dc >"$2"
}

initrd_list() { # VERSION: what newc.c reads
  local name
  for name in bin dev etc lib lib/modules "lib/modules/$1" root; do echo "dir $name 0755"; done
  echo 'nod dev/console 0600 5 1'
  echo "file bin/busybox 0755 $work/bin/busybox"
  echo 'slink bin/sh busybox'
  echo 'slink sbin bin' # the kernel asks /sbin/modprobe for modules
  echo "file init 0755 $here/init"
  echo "file bin/ft86-exit 0755 $here/ft86-exit"
  for name in "$new/modules/"*; do echo "file lib/modules/$1/$(basename "$name") 0644 $name"; done
}

build() {
  "$here/fetch-debian.sh" "$out/packages" "$suite" i386 "linux-image-$flavour/linux-image-*-$flavour" busybox-static
  rm -rf "$work" && mkdir -p "$new"
  say "unpacking $(cat "$out/packages/linux-image-$flavour.version")"
  dpkg-deb -x "$out/packages/linux-image-$flavour.deb" "$work"
  dpkg-deb -x "$out/packages/busybox-static.deb" "$work"
  local kernel version
  kernel=$(find "$work/boot" -name 'vmlinuz-*')
  version=${kernel##*/vmlinuz-}
  cp "$kernel" "$new/bzImage"
  unpack_payload "$kernel" "$new/vmlinux"
  collect_modules "$work/lib/modules/$version"
  gcc -O2 -Wall -Wextra -o "$work/newc" "$here/newc.c"
  initrd_list "$version" | "$work/newc" | gzip -9n >"$new/initrd.gz"
  echo "$version" >"$new/version"
  rm -rf "$out/modules"
  mv "$new/"* "$out/"
  touch "$out/.done"
  say "built $out: Linux $version"
}

[ $# = 1 ] || [ $# = 2 ] || { say 'usage: build.sh DIR [FLAVOUR]'; exit 2; }
flavour=${2:-686}
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$out/.work new=$out/.work/new
trap 'rm -rf "$work"' EXIT
[ -f "$out/.done" ] && [ -z "$(find "$here" -newer "$out/.done" -type f ! -name "manifest.json" ! -name "*.md")" ] || build
