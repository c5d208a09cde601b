#!/bin/sh
# `npm run build`: JavaScript and declarations into dist/, with the compiled eBPF objects at the same place beside them.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
. "$top/deploy/prepare.sh"
PATH=$(dirname "$ISTHMUS_NODE"):$PATH
rm -rf dist
node_modules/.bin/tsc -p tsconfig.build.json
mkdir -p dist/datapath/bpf dist/examples
cp -R datapath/bpf/objects dist/datapath/bpf/
cp -R examples/. dist/examples/
