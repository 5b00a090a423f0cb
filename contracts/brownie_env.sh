#!/bin/sh
# Make the environment of the contract tests: brownie pins web3 7, the product uses web3 8, so they live apart.
# Usage: contracts/brownie_env.sh            (into .build/brownie-venv; PYTHON names another interpreter)
# Does nothing when the environment already has what requirements/brownie.txt pins.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
target="$root/.build/brownie-venv"
pins="$root/requirements/brownie.txt"
if [ -f "$target/pins.txt" ] && cmp -s "$pins" "$target/pins.txt"; then
    exit 0
fi
rm -rf "$target"
mkdir -p "$root/.build"
"${PYTHON:-python3}" -m venv "$target"
# From source and without mypyc: the compiled wheels of brownie do not run on every machine.
BROWNIE_NOCOMPILE=1 "$target/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
    --no-binary eth-brownie -r "$pins"
cp "$pins" "$target/pins.txt"
