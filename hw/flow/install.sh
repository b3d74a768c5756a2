#!/bin/sh
# Installs what this folder holds on a board with a PYNQ image. Run it as root on the board: ./install.sh
# COLONNADE_PYTHON names another Python than the image's, COLONNADE_PREFIX another place than /usr/local/share/colonnade.
set -eu

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
. "$here/bundle.env"  # BUNDLE_BOARD, BUNDLE_SIMULATION_ONLY
prefix=${COLONNADE_PREFIX:-/usr/local/share/colonnade}

if [ "$BUNDLE_SIMULATION_ONLY" = 1 ]; then
    case $(uname -m) in
        arm*|aarch64) fail "this bundle holds no bitstreams, only what a simulation needs; build one with make bitstream and make bundle" ;;
    esac
fi
if [ -n "${BOARD:-}" ] && [ "$BOARD" != "$BUNDLE_BOARD" ]; then
    fail "this bundle is for the board $BUNDLE_BOARD, and this is $BOARD; a wrong bitstream can hang the board"
fi

python=${COLONNADE_PYTHON:-}
for candidate in /usr/local/share/pynq-venv/bin/python3 /opt/pynq/venv/bin/python3 python3; do
    [ -n "$python" ] || python=$(command -v "$candidate" || true)
done
[ -n "$python" ] || fail "there is no python3 here"
pynq=$("$python" -c 'from importlib.metadata import version; print(version("pynq"))' 2>/dev/null) \
    || fail "$python has no pynq: name the image's Python in COLONNADE_PYTHON"
case $pynq in
    3.0.1|3.1|3.1.[02-9]*|4.0|4.0.*) ;;
    *) fail "pynq $pynq is not one of 3.0.1, 3.1 and 4.0, which this was made for" ;;
esac
(cd "$here" && sha256sum --quiet --check SHA256SUMS) || fail "a file is damaged; copy the bundle again"

# The wheel first and alone, so that the same version replaces itself; then what it needs, if anything is missing.
"$python" -m pip install --quiet --no-deps --force-reinstall "$here"/wheels/*.whl \
    || fail "pip could not install the host software"
"$python" -m pip install --quiet --find-links "$here/wheels" "$here"/wheels/*.whl \
    || fail "pip could not install what the host software needs; is the board connected to the internet?"

# A folder beside the old one, then one rename: no half-copied overlay is ever found.
mkdir -p "$prefix"
rm -rf "$prefix/overlays.partial"
cp -r "$here/overlays" "$prefix/overlays.partial"
rm -rf "$prefix/overlays"
mv "$prefix/overlays.partial" "$prefix/overlays"
echo "installed for $BUNDLE_BOARD with pynq $pynq: host software in $python, overlays in $prefix/overlays"
