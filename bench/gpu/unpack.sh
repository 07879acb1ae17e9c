#!/bin/sh
# Unpacks parts that pack.ts made, all or some of them, and writes TARGET/env.sh, to be sourced before anything is run:
#
#   sh unpack.sh FOLDER_WITH_PARTS TARGET && . TARGET/env.sh && node $TDIFF_APP/dist/bench/gpu/run.js …
#
# Needs python3 (with its lzma module) and tar. Safe to call again with further parts.
set -eu
parts=$(cd "$1" && pwd)
mkdir -p "$2"
target=$(cd "$2" && pwd)

for part in "$parts"/part-*.tar; do
  if [ -e "$part" ]; then tar -xf "$part" -C "$target"; fi
done

pids=
for piece in "$target"/*.tar.xz; do
  [ -e "$piece" ] || continue
  python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:xz").extractall(sys.argv[2], filter="tar")' "$piece" "$target" &
  pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
rm -f "$target"/*.tar.xz

# The folders of NVIDIA's pip packages that hold shared libraries.
libraries=$(python3 - <<'PYTHON'
import importlib.util
import pathlib

spec = importlib.util.find_spec("nvidia")
roots = spec.submodule_search_locations if spec else []
print(":".join(sorted({str(so.parent) for root in roots for so in pathlib.Path(root).glob("*/lib/*.so*")})))
PYTHON
)

# ONNX Runtime's provider asks for libcudnn.so by that name, which NVIDIA's package does not have.
cudnn=$(echo "$libraries" | tr : '\n' | while read -r folder; do ls "$folder"/libcudnn.so.9 2>/dev/null || true; done | head -n 1)
if [ -n "$cudnn" ]; then
  mkdir -p "$target/onnxruntime"
  ln -sf "$cudnn" "$target/onnxruntime/libcudnn.so"
fi

cat > "$target/env.sh" <<ENVIRONMENT
export PATH="$target/bin:\$PATH"
export LD_LIBRARY_PATH="$target/onnxruntime:$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export PYTHONPATH="$target/python\${PYTHONPATH:+:\$PYTHONPATH}"
export TDIFF_APP="$target/app"
export UV_THREADPOOL_SIZE=12
export ORT_DISABLE_TELEMETRY=1
export HF_HUB_OFFLINE=1
ENVIRONMENT

# The machine's own transformers may be too old for this diffusers: then the one that came along takes its place.
if [ -d "$target/python-newer" ] && ! (. "$target/env.sh" && python3 -c 'from diffusers import Flux2KleinPipeline' 2>/dev/null); then
  echo "export PYTHONPATH=\"$target/python-newer:\$PYTHONPATH\"" >> "$target/env.sh"
fi

echo "unpacked in $target: $(ls "$target" | tr '\n' ' ')"
echo "NVIDIA's libraries: ${libraries:-none found}"
echo "cuDNN: ${cudnn:-not found}"
grep -q python-newer "$target/env.sh" && echo "diffusers: over the transformers that came along" || echo "diffusers: over the machine's own transformers"
