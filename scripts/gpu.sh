#!/usr/bin/env bash
# Runs what waits for a GPU, the most valuable first, for at most MINUTES; run again, it goes on.
#
#     scripts/gpu.sh MINUTES [JOB ...] [--out DIRECTORY] [--list]
#
# The jobs stand in scripts/lib/gpu_jobs.py. PYTHON names the interpreter, MFR_GPU_DEVICE another
# device than cuda, and MFR_GPU_TINY=1 makes every job tiny, to see on a CPU that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python}" -m scripts.lib.gpu_jobs "$@"
