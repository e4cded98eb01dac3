#!/bin/sh
# What the linker made of the addon.  usage: link_check.sh ADDON LIBRARY "WRAPPED SYMBOLS" SCRATCH
set -eu
addon=$1 library=$2 wrapped=$3 scratch=$4
[ -f "$addon" ] || { echo "check: no $addon"; exit 1; }

# Each wrapped symbol is called from another object file than its own, else --wrap does nothing.
for symbol in $wrapped; do
  nm -A "$library" 2>/dev/null | grep -q " U $symbol\$" || { echo "check: nobody calls $symbol"; exit 1; }
done

# The C math library differs between hosts: nothing of it may be linked. Its names come from the library
# itself if it is there, else from this list.
nm -D -u "$addon" | awk '{ sub(/@.*/, "", $2); print $2 }' | sort >"$scratch/undefined.txt"
libm=$(${CC:-cc} -print-file-name=libm.so.6)
{ printf '%s\n' sin cos sincos tan asin acos atan atan2 sinh cosh tanh exp exp2 expm1 log log2 log10 log1p pow \
    fmod remainder fma sqrt cbrt hypot floor ceil rint nearbyint round trunc lrint llrint fesetround feraiseexcept
  for f in sin cos sincos tan atan2 exp exp2 expm1 log log2 log1p pow fmod fma sqrt; do printf '%sf\n%sl\n' $f $f; done
  [ ! -f "$libm" ] || nm -D --defined-only "$libm" | awk '{ sub(/@.*/, "", $3); print $3 }'
} | sort -u >"$scratch/libm.txt"
# ldexp and its like are exact, and are in the C library itself.
elsewhere='(__)?(frexp|ldexp|scalbn|copysign|modf|finite|isinf|isnan|signbit)[fl]?'
if grep -vxE "$elsewhere" "$scratch/libm.txt" | comm -12 - "$scratch/undefined.txt" | grep .; then
  echo "check: the addon calls the host's math library"; exit 1
fi
objdump -p "$addon" | grep -q 'NEEDED.*libm\.' && { echo "check: the addon is linked with libm"; exit 1; }

# An old linker relaxation turns the 64-bit load helper into an endless recursion.
objdump -d --no-show-raw-insn "$addon" | awk '/<helper_le_ldq_mmu_x86_64>:/{f=1} f&&/addr32 call/{bad=1} f&&/ret/{exit} END{exit bad}' ||
  { echo "check: link with -Wl,--no-relax"; exit 1; }
[ "$(nm -D --defined-only "$addon" | grep -vc napi_register_module_v1)" = 1 ] ||
  { echo "check: the addon exports more than Node needs"; exit 1; }
