#!/bin/sh
# Says in one line what is missing before anything is built.
set -eu
fail() { echo "ft86: $1" >&2; exit 1; }
for tool in node npm gcc make; do
  command -v "$tool" >/dev/null 2>&1 || fail "$tool is needed (Node >= 20.19, gcc and make)"
done
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  fail "Node $(node --version) is too old: Node >= 20.19 is needed"
