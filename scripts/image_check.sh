#!/bin/sh
# Builds the images without a container engine, and runs the CPU image as docker/check says. For root
# on Debian, with 15 GB of disk; about ten minutes. The base images are stand-ins made by debootstrap:
# this proves the Dockerfiles' steps and what they make, not the real bases.
# The environment may set:
#   IMAGE_CHECK_DIR  where to work and keep the stand-in's packages (default: /var/tmp/llava-image-check)
set -eu
cd "$(dirname "$0")/.."
folder=${IMAGE_CHECK_DIR:-/var/tmp/llava-image-check}
base=$folder/base.tar
work=$folder/work
suite=bookworm  # whose Python the Dockerfile of the CPU image names

fail() {
    printf 'image check failed: %s\n' "$1" >&2
    exit 1
}

install_tools() {
    tools="buildah debootstrap iproute2 procps"
    # shellcheck disable=SC2086
    dpkg -s $tools >/dev/null 2>&1 && return
    apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $tools
}

# In chroot isolation a build needs no cgroups, and its steps use the host's network.
run_buildah() {
    XDG_RUNTIME_DIR=$work buildah --root "$work/store" --runroot "$work/runroot" --storage-driver vfs "$@"
}

build() {
    command=build
    run_buildah "$command" --isolation chroot --pull-never --format docker "$@"
}

clean() {
    if [ -d "$work/store" ]; then
        run_buildah rm --all >/dev/null
        run_buildah rmi --all --force >/dev/null
    fi
    rm -rf "$work"
}

make_base() {
    [ -f "$base" ] && return
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv,python3-dev \
        "$suite" "$work/rootfs" >"$work/debootstrap.log"
    # As in the images that it stands in for: pip may install, and python is Python 3.
    rm -f "$work"/rootfs/usr/lib/python3*/EXTERNALLY-MANAGED
    ln -s python3 "$work/rootfs/usr/bin/python"
    tar -C "$work/rootfs" -cf "$base.part" .
    mv "$base.part" "$base"
    rm -rf "$work/rootfs"
}

# The name of the image that a Dockerfile is built on.
base_name() {
    sed -n 's/^FROM \([^ ]*\).*/\1/p' "$1" | head -n 1
}

# Both stand-ins have Debian's Python, where pip may install; the GPU image's has vLLM's packages by
# their metadata, too.
make_stand_in() {
    mkdir -p "$work/stand-in"
    ln -f "$base" "$work/stand-in/base.tar"
    printf 'FROM scratch\nADD base.tar /\n' >"$work/stand-in/Dockerfile"
    build -t "docker.io/library/$(base_name docker/Dockerfile.cpu)" "$work/stand-in"
}

make_gpu_stand_in() {
    .venv/bin/python -m docker.check.gpu_base "$work/stand-in-gpu/packages"
    setuptools=$(grep '^setuptools==' requirements/cuda.txt)
    cat >"$work/stand-in-gpu/Dockerfile" <<END
FROM docker.io/library/$(base_name docker/Dockerfile.cpu)
RUN python3 -m pip install $setuptools
COPY packages/ /usr/local/lib/python3.11/dist-packages/
END
    # shellcheck disable=SC2046
    build -t "docker.io/$(base_name Dockerfile)" $(pip_options) "$work/stand-in-gpu"
}

pip_options() {
    .venv/bin/python -m docker.check.pip_options "$work"
}

# Builds an image, and leaves its configuration and where it is mounted. From a copy, since what a
# step writes into a mounted context stays there.
make_image() {
    mkdir "$work/context-$2"
    git ls-files --cached --others --exclude-standard -z |
        tar --null --files-from - --ignore-failed-read -cf - | tar -xf - -C "$work/context-$2"
    # shellcheck disable=SC2046
    build -f "$1" -t "localhost/llava-server:$2" $(pip_options) "$work/context-$2"
    run_buildah inspect --type image "localhost/llava-server:$2" >"$work/$2.json"
    run_buildah mount "$(run_buildah from "localhost/llava-server:$2")" >"$work/$2.root"
}

check_cpu() {
    make_image docker/Dockerfile.cpu cpu
    .venv/bin/python -m docker.check "$(cat "$work/cpu.root")" "$work/cpu.json"
}

list_packages() {
    chroot "$1" python3 -m pip list --format=freeze 2>/dev/null | sort
}

# What the base brings must stay as it is: the engine was built and tested with it.
check_gpu() {
    make_gpu_stand_in
    list_packages "$(run_buildah mount "$(run_buildah from "docker.io/$(base_name Dockerfile)")")" >"$work/before"
    make_image Dockerfile cuda
    root=$(cat "$work/cuda.root")
    list_packages "$root" >"$work/after"
    changed=$(comm -23 "$work/before" "$work/after")
    [ -z "$changed" ] || fail "the GPU image replaces packages of its base: $changed"
    added=$(comm -13 "$work/before" "$work/after" | tr '\n' ' ')
    echo "ok: packages that the GPU image adds: $added"
    chroot "$root" sh -ec 'tini --version; cd /; python3 -c "import server; print(server.__version__)"; stat -c "%n %u:%g %a" /cache'
}

[ "$(id -u)" = 0 ] || fail "only root can build images in a chroot"
command -v apt-get >/dev/null || fail "only Debian and its kin are known"
mkdir -p "$work"
install_tools
trap clean EXIT
make_base
make_stand_in
check_gpu
check_cpu
