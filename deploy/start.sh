#!/bin/sh
# `npm start [-- flags]`: installs what is missing, then becomes `isthmus lab run`. Flags seen here: --help, --no-install
# (stop before installing system packages), --kernel memory (needs none of them); everything else is passed on.
# Standard output belongs to the lab: whatever is said here goes to standard error. Every step up to Node itself is an
# `exec`, also in package.json: a shell in between would die of the Ctrl-C that the lab answers with exit code 0.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
say() { echo "isthmus: $*" >&2; }

install=yes kernel=${ISTHMUS_KERNEL:-linux} previous=
for word in "$@"; do
  shift
  case $word in
    --) set -- "$@" "$word" ;;
    --no-install) install=no ;;
    --help | -h) kernel=none; set -- "$@" "$word" ;;
    --kernel=*) kernel=${word#*=}; set -- "$@" "$word" ;;
    *) [ "$previous" != --kernel ] || kernel=$word; set -- "$@" "$word" ;;
  esac
  previous=$word
done

has_library() {
  { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null; } | grep -q "[[:space:]]$1 " && return
  for folder in /lib /usr/lib /lib64 /usr/lib64 /usr/local/lib "/lib/$(uname -m)-linux-gnu" "/usr/lib/$(uname -m)-linux-gnu"; do
    [ ! -e "$folder/$1" ] || return 0
  done
  return 1
}

# One line for each thing that is missing, with the command that cures it.
if [ "$kernel" = linux ]; then
  missing=no
  if [ "$(uname -s)" != Linux ]; then
    say "this is $(uname -s), not Linux: run 'npm start -- --kernel memory'"
    exit 2
  fi
  root=$([ "$(id -u)" = 0 ] && echo yes || echo no)
  if [ "$root" = no ]; then
    say "network namespaces and eBPF need root: run 'sudo npm start' (or, without packets, 'npm start -- --kernel memory')"
    missing=yes
  fi
  if ! has_library libbpf.so.1; then
    apt='apt-get install -y --no-install-recommends libbpf1'
    if ! command -v apt-get >/dev/null; then
      say "libbpf.so.1 is missing: install libbpf 1.x with this system's package manager (Fedora: 'dnf install libbpf')"
      missing=yes
    elif [ "$root" = no ]; then
      say "libbpf.so.1 is missing: run 'sudo $apt'"
      missing=yes
    elif [ "$install" = no ]; then
      say "libbpf.so.1 is missing: run '$apt'"
      missing=yes
    else
      say "installing a system package: $apt"
      export DEBIAN_FRONTEND=noninteractive
      # Lists of a fresh machine are empty or old: only then they are fetched.
      $apt >&2 || { say 'fetching package lists first: apt-get update' && apt-get update >&2 && $apt >&2; } || {
        say "apt failed (see above); once it works, run '$apt'"
        exit 2
      }
    fi
  fi
  [ "$missing" = no ] || exit 2
fi

. "$top/deploy/prepare.sh"
if [ "$kernel" = none ]; then
  "$top/bin/isthmus" lab run "$@"
  printf '\nnpm start also takes:\n  --no-install                    Stop where a system package is missing, and print the command that installs it\n'
  exit 0
fi
exec "$top/bin/isthmus" lab run "$@"
