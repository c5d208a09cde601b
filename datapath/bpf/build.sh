#!/bin/sh
# Compiles the eBPF programs into objects/. `--check` compiles into a temporary folder and compares byte for byte with
# what is committed. Needs clang-14 and llvm-strip-14 (Debian: clang-14 llvm-14 libbpf-dev linux-libc-dev): other
# versions give other bytes.
set -eu
cd "$(dirname "$0")"
clang=${CLANG:-clang-14}
strip=${LLVM_STRIP:-llvm-strip-14}
for tool in "$clang" "$strip"; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install clang-14 llvm-14 libbpf-dev linux-libc-dev" >&2; exit 2; }
done

mode=build
case "${1:-}" in
  '') ;;
  --check) mode=check ;;
  *) echo "usage: build.sh [--check]" >&2; exit 2 ;;
esac

out=objects
if [ "$mode" = check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out"

failed=0
for source in *.bpf.c; do
  name=${source%.bpf.c}
  # Relative names and -fdebug-compilation-dir keep the checkout's path out of BTF, so that two folders give one object.
  "$clang" -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -target bpf -mcpu=v3 -fdebug-compilation-dir=. \
    -I"/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$out/$name.o"
  "$strip" -g "$out/$name.o"
  if [ "$mode" = check ] && ! cmp -s "$out/$name.o" "objects/$name.o"; then
    echo "objects/$name.o is not what $source compiles to: run datapath/bpf/build.sh" >&2
    failed=1
  fi
done
exit "$failed"
