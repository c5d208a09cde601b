#!/bin/sh
# `npm test` and `npm run test:unit`, with jest's own arguments behind `--`: `npm run test:unit -- runtime`.
# The first argument is a comma-separated list of jest projects. Only npm packages are prepared here.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
. "$top/deploy/prepare.sh"
projects=$1
shift
# jest takes everything behind --selectProjects as a project, so an option has to end that list before a path pattern.
# shellcheck disable=SC2046
exec "$ISTHMUS_NODE" --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js \
  --selectProjects $(echo "$projects" | tr , ' ') --passWithNoTests "$@"
