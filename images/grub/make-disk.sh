#!/usr/bin/env bash
# A disk image that GRUB starts from, without root, loop devices or grub-install.
#
#   usage: make-disk.sh IMAGE GRUB_CFG FILE...      GRUB_CFG goes to /boot/grub/grub.cfg, each FILE to /boot
#
#   sector 0     boot.img: finds sector 1 by itself; the partition table is ours
#   sector 1     core.img: GRUB with every module that it needs, made by grub-mkimage
#   sector 2048  partition 1, bootable: ext2, filled by mke2fs itself
#
# Equal inputs give equal images but for the dates in the file system. Needs grub-mkimage, GRUB's i386-pc images and mke2fs.
# Source: GRUB manual, "BIOS installation" (where the parts lie); boot.img's default place of core.img is sector 1.
set -euo pipefail

grub=/usr/lib/grub/i386-pc
modules='biosdisk part_msdos ext2 normal configfile serial terminal multiboot linux linux16 echo ls cat test halt reboot'
partition_start=2048

fail() { printf 'grub disk: %s\n' "$1" >&2; exit 2; }

# A 32-bit little-endian number as printf escapes.
u32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
# Writes standard input at byte $1 of the image.
patch() { dd of="$image.new" bs=1 seek="$1" conv=notrunc status=none; }

[ $# -ge 2 ] || fail 'usage: make-disk.sh IMAGE GRUB_CFG FILE...'
image=$1 config=$2
shift 2
export PATH=$PATH:/usr/sbin:/sbin # mke2fs
for tool in grub-mkimage mke2fs; do
  command -v $tool >/dev/null || fail "$tool is missing; install it with: make extras"
done
[ -f $grub/boot.img ] || fail "$grub/boot.img is missing; install it with: make extras"

work=$(mktemp -d)
trap 'rm -rf "$work" "$image.new"' EXIT
mkdir -p "$(dirname "$image")" "$work/tree/boot/grub"
cp "$config" "$work/tree/boot/grub/grub.cfg"
[ $# = 0 ] || cp "$@" "$work/tree/boot/"
# shellcheck disable=SC2086  # a list on purpose
grub-mkimage -O i386-pc -o "$work/core.img" -p '(hd0,msdos1)/boot/grub' $modules
[ "$(stat -c %s "$work/core.img")" -le $(((partition_start - 1) * 512)) ] || fail 'core.img does not fit before the partition'

# Room for the files, the file system's own tables and something to write.
kib=$((($(du -sk "$work/tree" | cut -f1) * 11 / 10 + 4096 + 1023) / 1024 * 1024))
rm -f "$image.new"
truncate -s $((partition_start * 512 + kib * 1024)) "$image.new"
mke2fs -q -t ext2 -L ft86 -U 00000000-0000-4000-8000-000000000086 -E offset=$((partition_start * 512)),root_owner=0:0 \
  -d "$work/tree" "$image.new" "${kib}k"
head -c 440 $grub/boot.img | patch 0
dd if="$work/core.img" of="$image.new" bs=512 seek=1 conv=notrunc status=none
# Bootable, type 0x83, addressed by sectors; the cylinder fields say "use those".
# shellcheck disable=SC2059  # escapes on purpose
printf "\\x80\\xfe\\xff\\xff\\x83\\xfe\\xff\\xff$(u32 $partition_start)$(u32 $((kib * 2)))" | patch 446
printf '\x55\xaa' | patch 510
mv "$image.new" "$image"
