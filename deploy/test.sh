#!/bin/sh
# `npm test [project…] [-- jest arguments]`: prepares npm packages only, then runs jest under Node 24.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
. "$top/deploy/prepare.sh"
projects=
while [ $# -gt 0 ]; do
  case $1 in unit | contract | integration | guest) projects="$projects $1"; shift ;; *) break ;; esac
done
[ -z "$projects" ] || set -- --selectProjects $projects -- "$@"
[ "$(eval echo \${$#})" != "--" ] || { n=$(($# - 1)); i=0; new=; for a in "$@"; do i=$((i + 1)); [ $i -le $n ] && new="$new $a"; done; set -- $new; }
exec "$ISTHMUS_NODE" --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js "$@"
