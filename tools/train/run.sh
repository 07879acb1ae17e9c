#!/usr/bin/env bash
# Trains and exports the model: run.sh PACK OUT [STAGE...]
# Stages, all of them by default: vae flow128 flow256 distill export.
# Each stage reads what the one before left in OUT, so they can be run one at a time.
# The minutes are those of the published model on one H100, with each stage's setup.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
pack=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
shift 2
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(vae flow128 flow256 distill export)

cd "$(dirname "${BASH_SOURCE[0]}")"
python=${PYTHON:-python3}
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
common=(--pack "$pack" --out "$out")
flow=("${common[@]}" --vae "$out/vae.safetensors" --state "$out/flow_state.pt")

for stage in "${stages[@]}"; do
  case $stage in
    vae)
      "$python" train_vae.py "${common[@]}" --minutes 4.4
      ;;
    flow128)
      rm -f "$out/flow_state.pt"
      "$python" train_flow.py "${flow[@]}" --minutes 4.3 --part-128 1 --mix-128 1 --decay 0 --guidance 2 4
      ;;
    flow256)
      "$python" train_flow.py "${flow[@]}" --minutes 9.2 --part-128 0 --mix-128 0.2 --decay 0.5 --warmup 100
      ;;
    distill)
      "$python" distill.py "${common[@]}" --vae "$out/vae.safetensors" --teacher "$out/flow.safetensors" --minutes 8
      ;;
    export)
      "$python" export_checkpoint.py --pack "$pack" --vae "$out/vae.safetensors" \
        --transformer "$out/student.safetensors" --out "$out/checkpoint"
      "$python" make_reference.py --checkpoint "$out/checkpoint/fp16" --out "$out/reference"
      "$python" sheet.py model --checkpoint "$out/checkpoint/fp16" --out "$out/sheet.png"
      ;;
    *)
      echo "run.sh: no stage '$stage'; expected vae, flow128, flow256, distill or export" >&2
      exit 2
      ;;
  esac
done
