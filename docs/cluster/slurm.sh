#!/bin/bash
# A sweep on several nodes of a Slurm cluster: Ray runs on each of them, the sweep's own process on the first.
#
#   sbatch docs/cluster/slurm.sh sweeps/cifar_batchsize.yaml --storage /shared/runs
#
# The job must be submitted from the root of a clone that all nodes see, with wsnet's environment activated. Shortly
# before its time is up, the sweep ends with exit status 3, and the job puts itself back into the queue to continue.
#
#SBATCH --job-name=wsnet
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=wsnet-%j.log
set -uo pipefail

if [ $# -eq 0 ]; then
    echo "usage: sbatch $0 SWEEP.yaml [option of run_sweep.py ...]" >&2
    exit 2
fi

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address="$head:6379"
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300  # Seconds for the nodes to come up; 30 by default.
if [ -e ~/.ray/auth_token ]; then
    export RAY_AUTH_MODE=token  # By default, the head uses the token and the other nodes do not.
fi

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_ON_NODE" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" -- \
    python run_sweep.py "$@" --address "$address" --budget 11.5h
status=$?

if [ "$status" -eq 3 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
