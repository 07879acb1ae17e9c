# The worker of temporal-diffusion, with what it takes to start from snapshots. Debian 13's own CRIU is recent enough.
#
#   docker build -t temporal-diffusion .                            draws on the CPU
#   docker build -t temporal-diffusion-gpu --target gpu .           and on NVIDIA GPUs: docs/gpu-hosts.md
#   docker run --rm --init --env TEMPORAL_ADDRESS=temporal:7233 --volume pictures:/pictures --volume cache:/cache \
#     --cap-add SYS_ADMIN --cap-add SYS_PTRACE --cap-add CHECKPOINT_RESTORE --cap-add SYS_TIME --cap-add NET_ADMIN \
#     --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
#     temporal-diffusion worker --storage /pictures
#
# docs/snapshots.md says what each capability is for. Without them the worker runs as well, and starts fresh:
# `docker run … temporal-diffusion doctor` tells what it lacks.

FROM node:22-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json ./
RUN npm ci --ignore-scripts
COPY src src
COPY models models
RUN npm run build && npm prune --omit=dev --ignore-scripts

# What GPUs need beside the driver, which is the host's: docs/gpu.md says what each is for. No Python is in the result.
FROM python:3.11-slim-trixie AS cuda
RUN pip install --no-cache-dir --no-deps --target /opt/cuda13 --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 \
    'onnxruntime-gpu==1.30.0' 'nvidia-cuda-runtime==13.0.*' 'nvidia-cublas==13.0.*' 'nvidia-curand==10.4.0.*' \
    'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cudnn-cu13==9.*' \
  && ln -s libcudnn.so.9 /opt/cuda13/nvidia/cudnn/lib/libcudnn.so

FROM node:22-trixie-slim AS worker
# util-linux and mount: unshare, nsenter, setsid, flock, setpriv, prlimit and mount, which capture and restore use.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends criu util-linux mount \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist/src dist/src
COPY --from=build /app/models models
# Snapshots and built graphs: a volume there outlives the container. The package's own `.cache` would be in a layer.
ENV NODE_ENV=production
RUN ln -s /cache .cache
VOLUME /cache
# CRIU needs root; the engine is a child process without a network.
ENTRYPOINT ["node", "/app/dist/src/cli/main.js"]
CMD ["worker", "--help"]

FROM worker AS gpu
COPY --from=cuda /opt/cuda13/onnxruntime/capi /opt/cuda13/onnxruntime/capi
COPY --from=cuda /opt/cuda13/nvidia /opt/cuda13/nvidia
ENV LD_LIBRARY_PATH=/opt/cuda13/onnxruntime/capi:/opt/cuda13/nvidia/cu13/lib:/opt/cuda13/nvidia/cudnn/lib
# What NVIDIA's container toolkit hands in of the host's driver: CUDA's part, and nvidia-smi.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Without --target.
FROM worker
