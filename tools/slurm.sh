#!/bin/bash
# Train on SLURM, on any number of nodes and GPUs, with pre-emption and time limits survived.
#
#   sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 tools/slurm.sh models/polymax/polymax_world_tiny.py work_dirs/tiny
#
# One task a GPU. Two minutes before the time limit SLURM sends SIGUSR1, and SIGTERM when the job is pre-empted: the training finishes
# its iteration, saves a checkpoint and ends with status 0, and the job is put back into the queue, where it goes on from that checkpoint.
# A node that dies takes nothing with it but the minutes since the last periodic checkpoint (`default_hooks.checkpoint.minutes`).
#SBATCH --job-name=perception
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x_%j.log
set -euo pipefail

recipe=${1:?usage: sbatch tools/slurm.sh RECIPE WORK_DIR [more options of tools/train.py]}
work_dir=${2:?usage: sbatch tools/slurm.sh RECIPE WORK_DIR [more options of tools/train.py]}
shift 2

resume=()
if compgen -G "$work_dir/iter_*.pth" > /dev/null; then
  resume=(--resume)
fi
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

# srun hands SIGUSR1 and SIGTERM to every task; this shell has to outlive them to put the job back into the queue
trap : USR1 TERM
srun --kill-on-bad-exit=1 python tools/train.py "$recipe" --work-dir "$work_dir" --launcher slurm "${resume[@]}" "$@"

if grep -q '"ended": "SIG' "$work_dir/status.json"; then
  scontrol requeue "$SLURM_JOB_ID"     # stopped by a signal: go on when there is room again
fi
