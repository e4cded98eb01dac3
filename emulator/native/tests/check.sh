#!/bin/sh
# usage: check.sh PART BUILD LIBRARY "WRAPPED SYMBOLS"
# The parts (CHECKS in the Makefile) do not depend on each other: `make -j check` runs several at a time.
set -eu
part=$1 build=$2 library=$3 wrapped=$4

# Counting and the guest's TLB: every way of running a guest gives the same result. 20 ways each.
ground_truth() { "$build/core/ground_truth" "$@"; }

case $part in
events)
  ground_truth "$build/events_guest.bin" gap=300
  ground_truth "$build/events_guest.bin" gap=100 seed=7 iterations=20
  ;;
interrupted-io)
  ground_truth "$build/events_guest.bin" irqio gap=300 iterations=20
  ground_truth "$build/events_guest.bin" irqio gap=0
  ;;
paging)
  ground_truth "$build/paging_guest.bin" gap=300 iterations=20
  ground_truth "$build/paging_guest.bin" gap=60 seed=5 iterations=4
  ground_truth "$build/paging_guest.bin" gap=0 iterations=8
  ;;
torture)
  # The shipped torture guest: a million injected interrupts, and a code buffer that is full all the time.
  chaos=$build/../images/chaos.elf
  [ -f "$chaos" ] || { echo "check: $chaos is not built (make images)"; exit 1; }
  ground_truth "$chaos" gap=60 seed=5 until=3000000
  ground_truth "$chaos" gap=0 until=30000000 "only=small code buffer"
  ;;
without-tlb)
  # The same test must notice when accessed bits are left to the engine's own TLB.
  if "$build/walking/ground_truth" "$build/paging_guest.bin" gap=150 iterations=4 >"$build/walking.txt" 2>&1; then
    echo "check: the paging guest does not notice that the guest's TLB is missing"; exit 1
  fi
  echo "without the guest's TLB: $(grep -c DIFFERS "$build/walking.txt") ways differ, as they must"
  ;;
hostile)
  "$build/core/hostile" "$build/events_guest.bin" 2000
  "$build/core/hostile" "$build/paging_guest.bin" 2000
  ;;
fpu)
  # The FPU's own functions: the same bits as ever, arithmetic the same as the host's; and no setting of the host's FPU shows in a guest.
  "$build/core/x87"
  "$build/core/x87_host"
  "$build/core/host_state"
  ;;
link)
  # A copy of this tree must rebuild its own objects when one of its headers changes, not those of this tree.
  if grep -l '^/' "$build"/core/*.d "$build"/../images/obj/*/*.d; then
    echo "check: these dependencies name an object by the path of this tree"; exit 1
  fi
  sh tests/link_check.sh "$build/ft86.node" "$library" "$wrapped" "$build"
  # The link check must notice when one function of the math library is back.
  if sh tests/link_check.sh "$build/with_libm.node" "$library" "$wrapped" "$build" >"$build/with_libm.txt"; then
    echo "check: the link check does not notice that sin() is linked"; exit 1
  fi
  grep -q "math library" "$build/with_libm.txt" || { cat "$build/with_libm.txt"; exit 1; }
  ;;
*)
  echo "check: no part $part"; exit 2
  ;;
esac
