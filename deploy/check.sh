#!/bin/sh
# `npm run check`: format, lint (with the arrows between rooms), types. All three run, so that one look shows everything.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
. "$top/deploy/prepare.sh"
# The tools' own scripts start with `env node`.
PATH=$(dirname "$ISTHMUS_NODE"):$PATH
failed=0
for command in 'oxfmt --check' 'oxlint --deny-warnings' tsc; do
  # shellcheck disable=SC2086
  node_modules/.bin/$command || { echo "isthmus: $command found something (see above)" >&2; failed=1; }
done
exit $failed
