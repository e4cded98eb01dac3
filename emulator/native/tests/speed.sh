#!/bin/sh
# Speed of the counted core against the same core without counting; three interleaved rounds.
build=$1
for round in 1 2 3; do
  printf 'uncounted         '; "$build/uncounted/speed" "$build/speed_guest.bin" 60000000
  printf 'counted           '; "$build/core/speed" "$build/speed_guest.bin" 60000000
  printf 'slices of 100,000 '; "$build/core/speed" "$build/speed_guest.bin" 60000000 100000
done
printf 'random access in 8 MiB '; "$build/core/speed" "$build/speed_guest.bin" 20000000 0 random
