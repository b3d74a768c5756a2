#!/bin/sh
# Fetches a headless Chromium and axe-core from the npm registry, pinned by package-lock.json with their hashes, into
# the folder that is named. Nothing outside of it changes, and no right but to write there is needed.
set -eu

target=$1
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v npm >/dev/null; then
    echo "install.sh: npm (Node 20.11 or newer) fetches the browser, and it is not here; install it first" >&2
    exit 1
fi
mkdir -p "$target"
rm -f "$target/chromium"
cp "$here/package.json" "$here/package-lock.json" "$target"
npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --loglevel=error

packed=$target/node_modules/@sparticuz/chromium/bin
node "$here/unpack.mjs" "$packed/chromium.br" "$target/headless-shell"
chmod +x "$target/headless-shell"
node "$here/unpack.mjs" "$packed/al2023.tar.br" "$target/libraries.tar"
tar -xf "$target/libraries.tar" -C "$target" # lib/, for machines without nss
rm "$target/libraries.tar"

cat > "$target/chromium.partial" <<'WRAPPER'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$here/lib" exec "$here/headless-shell" "$@"
WRAPPER
chmod +x "$target/chromium.partial"
"$target/chromium.partial" --version
mv "$target/chromium.partial" "$target/chromium"
