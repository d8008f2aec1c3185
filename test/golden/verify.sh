#!/bin/sh
# Recomputes hashes with sha256sum.
# usage: verify.sh FOLDER    with the hashed bytes as files, and their hashes in SHA256SUMS
set -eu
cd "$1"
sha256sum --check --strict --quiet SHA256SUMS
