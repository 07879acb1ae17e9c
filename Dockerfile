# The worker of temporal-diffusion, with what it takes to start from snapshots. Debian 13's own CRIU is recent enough.
#
#   docker build -t temporal-diffusion .
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

FROM node:22-trixie-slim
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
