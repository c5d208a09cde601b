# Sourced by the scripts of package.json with $top set: installs the npm packages when the lock file is newer than what
# is installed, and sets ISTHMUS_NODE to a Node of version 24 or newer. Progress goes to standard error.
case $(uname -m) in x86_64) arch=x64 ;; aarch64 | arm64) arch=arm64 ;; *) arch=none ;; esac
if [ ! "$top/node_modules/.package-lock.json" -nt "$top/package-lock.json" ]; then
  echo "isthmus: installing npm packages (npm install) …" >&2
  # Older npm rewrites the lock file in its own manner; the checkout stays as it was.
  cp "$top/package-lock.json" "$top/package-lock.json.kept"
  (cd "$top" && npm install --no-audit --no-fund --loglevel=error >&2) || { mv "$top/package-lock.json.kept" "$top/package-lock.json"; exit 2; }
  mv "$top/package-lock.json.kept" "$top/package-lock.json"
  touch "$top/node_modules/.package-lock.json"
fi
ISTHMUS_NODE=
for node in "$top/node_modules/node-linux-$arch/bin/node" "$(command -v node || true)"; do
  [ -x "$node" ] && [ "$("$node" -p 'process.versions.node.split(".")[0]')" -ge 24 ] || continue
  ISTHMUS_NODE=$node
  break
done
if [ -z "$ISTHMUS_NODE" ]; then
  echo "isthmus: Node 24 or newer was not found and npm brings none for $(uname -s)/$(uname -m); install it from nodejs.org" >&2
  exit 2
fi
export ISTHMUS_NODE
