#!/usr/bin/env bash
# Builds checkkern for arm64 with a cross compiler and runs it under an emulator:
#   arm64.sh COMPILER EMULATOR SOURCE SCRATCH
set -euo pipefail
cc=$1 emulator=$2 source=$3 scratch=$4
mkdir -p "$scratch"
flags=(-std=c17 -D_POSIX_C_SOURCE=200809L -O2 -ffp-contract=off -Wall -Wextra -Wshadow -Werror
       -I"$source/include" -I"$source/src")
"$cc" "${flags[@]}" -march=armv8.2-a+dotprod -c "$source/src/kernels/neon.c" -o "$scratch/neon.o"
"$cc" "${flags[@]}" -static "$source"/tests/kernels/{checkkern,guard}.c "$source"/src/kernels/{kern,scalar}.c \
  "$source/src/base/cpu.c" "$source/src/format/dtype.c" "$scratch/neon.o" -lm -o "$scratch/checkkern"
"$emulator" -cpu max "$scratch/checkkern" neon check
