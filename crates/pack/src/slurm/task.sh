#!/bin/sh
# One task of a job: a cell, or a benchmark, with all its units. The arguments are the job's folder and the number of
# the array's first task. What is measured already, by this task or by one that was lost, is not measured again.
set -u
cd "$1" || exit 1
task=$(($2 + SLURM_ARRAY_TASK_ID))
# Slurm itself starts a task again that lost its node, without a bound.
if [ "${SLURM_RESTART_COUNT:-0}" -gt 5 ]; then
  echo "task $task was started $((SLURM_RESTART_COUNT + 1)) times"
  exit 1
fi
mkdir -p "measured/$task" && rm -f "measured/$task/machine.json" || exit 1
echo "${SLURMD_NODENAME:-$(hostname)}" >"measured/$task/node"
exec pack/run --only "$(sed -n "$((task + 1))p" tasks)" --out "measured/$task" --class-file class \
  --scratch "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}"
