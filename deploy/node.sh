#!/bin/sh
# Runs a script of the checkout under the Node that the project brings: `sh deploy/node.sh FILE ARG…`.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/deploy/prepare.sh"
exec "$ISTHMUS_NODE" --disable-warning=ExperimentalWarning "$@"
