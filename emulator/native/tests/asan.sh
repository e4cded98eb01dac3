#!/bin/sh
# The C tests under AddressSanitizer and UndefinedBehaviorSanitizer. The engine itself is not instrumented
# and leaks a little at its end, so leaks are not reported.
set -eu
build=$1
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1
"$build/asan/ground_truth" "$build/events_guest.bin" iterations=3
"$build/asan/ground_truth" "$build/paging_guest.bin" iterations=2
"$build/asan/hostile" "$build/events_guest.bin" 1500
"$build/asan/hostile" "$build/paging_guest.bin" 1500
"$build/asan/x87"
"$build/asan/x87_host" 200
"$build/asan/host_state"
