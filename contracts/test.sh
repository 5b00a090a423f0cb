#!/bin/sh
# Contract tests under brownie.
#   contracts/test.sh                      everything, on anvil and then on our own chain
#   contracts/test.sh ARGUMENT...          pytest with these arguments (--chain anvil|civicledger, files, -k ...)
# Makes what they need first: the npm packages of contracts/package-lock.json and brownie's own environment. Our own chain
# is served by the product's environment: .venv, or the interpreter $CIVICLEDGER_PYTHON.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
lock=contracts/package-lock.json
if [ ! -x contracts/node_modules/.bin/anvil ] || [ "$lock" -nt contracts/node_modules/.package-lock.json ]; then
    (cd contracts && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi
contracts/brownie_env.sh
# brownie's pytest plugin would compile the folder by itself with a downloaded compiler: brownie is used as a library.
run() { .build/brownie-venv/bin/python -m pytest -p no:pytest-brownie -p no:cacheprovider "$@"; }
if [ $# -eq 0 ]; then
    run tests/contracts --chain anvil
    run tests/contracts --chain civicledger
else
    case "$*" in *tests/contracts*) ;; *) set -- tests/contracts "$@" ;; esac
    run "$@"
fi
