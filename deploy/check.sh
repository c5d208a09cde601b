#!/bin/sh
# `npm run check`: format, lint (with the arrows between rooms), types.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
. "$top/deploy/prepare.sh"
bin=node_modules/.bin
PATH=$(dirname "$ISTHMUS_NODE"):$PATH
"$bin/oxfmt" --check
"$bin/oxlint" --deny-warnings
"$bin/tsc"
