#!/bin/sh
# Training with settings that a CPU needs: one thread per worker, and memory that malloc keeps instead of returning it
# to the system after every pass (fresh pages cost more than the arithmetic on them).
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE GLIBC_TUNABLES=glibc.malloc.hugetlb=1
export MALLOC_MMAP_THRESHOLD_=8000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=268435456
exec "${PYTHON:-python3}" -u "$(dirname "$0")/train.py" "$@"
