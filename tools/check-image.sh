#!/usr/bin/env bash
# Runs the steps of the Dockerfile without Docker, in folders, and then a worker's start from a snapshot in the result:
#
#   tools/check-image.sh [FOLDER]        (default: a temporary one that is removed)
#
# The base image is made of Debian's own packages, with this machine's Node and npm in the place of the official image's.
# Needs root, a Debian of any release, and what docs/snapshots.md says that snapshots need.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{build/app,image,apt/lists/partial,apt/archives/partial}

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

copy() {
  local from=$PWD to words
  read -ra words <<<"$1"
  if [[ ${words[0]} == --from=build ]]; then
    from=$work/build
    words=("${words[@]:1}")
  fi
  local target=${words[-1]}
  [[ $stage == build ]] && to=$work/build/app || to=$work/image/app
  for source in "${words[@]:0:${#words[@]}-1}"; do
    [ -e "$from/${source#/}" ] || { echo "✖ COPY: expected $source, there is none" >&2; exit 1; }
    if [[ $target == ./ ]]; then cp -a "$from/${source#/}" "$to/"; else mkdir -p "$(dirname "$to/$target")" && cp -aT "$from/${source#/}" "$to/$target"; fi
  done
}

while IFS= read -r step; do
  echo "→ $step"
  read -r verb rest <<<"$step"
  case $verb in
    FROM)
      [[ $rest == *' AS build' ]] && stage=build || stage=image
      suite=$(sed -E 's/.*-([a-z]+)-slim.*/\1/' <<<"$rest")
      mkdir -p "$work/image/app"
      ;;
    COPY) copy "$rest" ;;
    RUN)
      if [[ $rest == *apt-get* ]]; then install_debian "$rest"
      elif [[ $stage == build ]]; then (cd "$work/build/app" && eval "$rest") </dev/null
      else chroot "$work/image" sh -c "cd /app && $rest"; fi
      ;;
    VOLUME) mkdir -p "$work/image$rest" ;;
    WORKDIR | ENV | ENTRYPOINT | CMD) ;;
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
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_ENV=production "$@"
  ' sh "$work/image" node /app/dist/src/cli/main.js "$@"
}
inside worker --help | head -1
inside doctor
inside snapshot create
inside snapshot verify
inside snapshot list
echo "✓ the image's steps work, and its engine was captured there"
