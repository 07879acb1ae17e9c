#!/usr/bin/env bash
# Runs the steps of the Dockerfile without Docker, in folders, and then a worker's start from a snapshot in the result:
#
#   tools/check-image.sh [--gpu] [FOLDER]        (default: a temporary one that is removed)
#
# The base image is made of Debian's own packages, with this machine's Node, npm and pip in the place of the official
# images'. With --gpu also those of the target gpu (2 GB from PyPI), as far as they go without a GPU: all libraries that
# `doctor` asks for must be where it looks. Needs root, a Debian of any release, and what docs/snapshots.md says that
# snapshots need.
set -euo pipefail
cd "$(dirname "$0")/.."
gpu=
if [ "${1:-}" = --gpu ]; then gpu=1 && shift; fi
work=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{build/app,cuda,image/app,apt/lists/partial,apt/archives/partial}

# The Dockerfile's lines with continuations joined, without comments.
steps=$(sed -e '/^#/d' -e ':a' -e '/\\$/{N;s/\\\n *//;ba}' Dockerfile | sed '/^$/d')
stage=none
suite=

packages_of() { grep -oP 'apt-get install --yes --no-install-recommends \K[^&]+' <<<"$1"; }

install_debian() {
  local mirror
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 'debian$')
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/apt/sources.list"
  : >"$work/apt/status"
  local apt=(apt-get -qq -oDir::Etc::sourcelist="$work/apt/sources.list" -oDir::Etc::sourceparts=/dev/null
    -oDir::State::Lists="$work/apt/lists" -oDir::State::status="$work/apt/status" -oDir::Cache="$work/apt"
    -oAPT::Sandbox::User=root)
  "${apt[@]}" update
  # Nothing counts as installed, so this resolves them with all that they depend on, as on an empty system. What Debian
  # calls essential is in every image; libstdc++ is Node's.
  # shellcheck disable=SC2046
  "${apt[@]}" install --yes --no-install-recommends --download-only base-files bash coreutils dash libc-bin libstdc++6 libatomic1 $(packages_of "$1")
  for folder in bin sbin lib lib64; do mkdir -p "$work/image/usr/$folder" && ln -sfn "usr/$folder" "$work/image/$folder"; done
  for package in "$work"/apt/archives/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/image" --keep-directory-symlink; done
  ln -sfn dash "$work/image/bin/sh"
  # Unpacking runs no scripts; of what they do, this is needed.
  chroot "$work/image" /sbin/ldconfig
}

# Where a path of a stage lies here: `worker` and what is built on it are one folder.
path_in() {
  case $1 in build | cuda) root=$work/$1 ;; *) root=$work/image ;; esac
  [[ $2 == /* ]] && echo "$root$2" || echo "$root/app/$2"
}

copy() {
  local from words source target to
  read -ra words <<<"$1"
  if [[ ${words[0]} == --from=* ]]; then
    from=${words[0]#--from=}
    words=("${words[@]:1}")
  fi
  target=${words[-1]}
  to=$(path_in "$stage" "$target")
  for source in "${words[@]:0:${#words[@]}-1}"; do
    [ -z "${from:-}" ] || source=$(path_in "$from" "$source")
    [ -e "$source" ] || { echo "✖ COPY: expected $source, there is none" >&2; exit 1; }
    if [[ $target == */ ]]; then cp -a "$source" "$to"; else mkdir -p "$(dirname "$to")" && cp -aT "$source" "$to"; fi
  done
}

# What the image sets.
environment=()

while IFS= read -r step; do
  read -r verb rest <<<"$step"
  if [ "$verb" = FROM ]; then
    # Without a name it is the image that is built where none is asked for: all of its steps have been run.
    stage=$(sed -nE 's/.* AS ([a-z]+)$/\1/p' <<<"$rest")
    [ -n "$stage" ] || break
    if [[ $rest == *-slim* ]]; then suite=$(sed -nE 's/.*[:-](trixie|bookworm).*/\1/p' <<<"$rest"); fi
  fi
  if [[ $stage == cuda || $stage == gpu ]] && [ -z "$gpu" ]; then continue; fi
  echo "→ $step"
  case $verb in
    COPY) copy "$rest" ;;
    RUN)
      if [[ $rest == *apt-get* ]]; then install_debian "$rest"
      elif [[ $stage == build ]]; then (cd "$work/build/app" && eval "$rest") </dev/null
      elif [[ $stage == cuda ]]; then (eval "${rest//\/opt\//$work/cuda/opt/}") </dev/null
      else chroot "$work/image" sh -c "cd /app && $rest"; fi
      ;;
    ENV) environment+=("$rest") ;;
    VOLUME) mkdir -p "$work/image$rest" ;;
    FROM | WORKDIR | ENTRYPOINT | CMD) ;;
    *) echo "✖ expected a step that this script knows, got $verb" >&2; exit 1 ;;
  esac
done <<<"$steps"

install -D "$(command -v node)" "$work/image/usr/local/bin/node"
inside() {
  # A root of its own, as a container has: CRIU captures nothing that lives in a mere chroot.
  unshare --mount --propagation private sh -c '
    mount --bind "$1" "$1" && cd "$1" && shift && mkdir -p dev/shm proc run tmp old &&
    mount -t tmpfs tmpfs run && mount -t tmpfs tmpfs tmp && mount --rbind /dev dev && mount -t proc proc proc &&
    pivot_root . old && umount -l old &&
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
  ' sh "$work/image" "${environment[@]}" node /app/dist/src/cli/main.js "$@"
}
inside worker --help | head -1
inside doctor
inside snapshot create
inside snapshot verify
inside snapshot list
if [ -n "$gpu" ]; then
  found=$(inside doctor --device cuda:0 || true)
  echo "$found"
  if grep '^✖' <<<"$found" | grep -vE '^✖ (NVIDIA driver|GPU 0)'; then
    echo '✖ expected nothing to be missing but the driver and the GPU' >&2
    exit 1
  fi
fi
echo "✓ the image's steps work, and its engine was captured there"
