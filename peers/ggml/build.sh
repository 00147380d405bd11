#!/bin/sh
# Builds one program: build.sh portable|native PROGRAM [FEATURE], with a feature of llama-cpp-sys-2. `native` compiles
# ggml for this very processor, into a target directory of its own; `portable` compiles it as a crate's users get it.
# cmake and libclang come from .venv/build.
set -eu
if [ "$1" = native ]; then
    export RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR=target/native CXXFLAGS="-include $PWD/tile-config.h"
fi
LIBCLANG_PATH=$(echo "$PWD"/.venv/build/lib/python3*/site-packages/clang/native)
export LIBCLANG_PATH PATH="$PWD/.venv/build/bin:$PATH"
BINDGEN_EXTRA_CLANG_ARGS="-isystem $(gcc -print-file-name=include)"
export BINDGEN_EXTRA_CLANG_ARGS
exec cargo build --release --locked --bin "$2" ${3:+--features "llama-cpp-sys-2/$3"}
