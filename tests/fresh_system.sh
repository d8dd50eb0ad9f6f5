#!/bin/sh
# make test-deps: the program, its tests from the outside and the demo on a Debian 12 that has nothing but make, git and what
# `make deps` installs.
#   tests/fresh_system.sh FOLDER    where the system is made; removed afterwards
# Needs root, and takes packages from where this system takes them.
set -eu
cd "$(dirname "$0")/.."
[ $# = 1 ] || { echo "usage: tests/fresh_system.sh FOLDER" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "fresh_system: making a system needs root" >&2; exit 2; }
if [ -z "${GRADUS_UNSHARED:-}" ]; then
  # What is mounted here is nowhere else, and gone when this ends, however it ends.
  GRADUS_UNSHARED=1 exec unshare --mount sh "$0" "$1"
fi

root=$1
rm -rf --one-file-system "$root"
mkdir -p "$root"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 'Component: main' |
  head -n 1)
[ -n "$mirror" ] || { echo "fresh_system: no source of bookworm is among this system's (apt-get update first)" >&2; exit 1; }
echo "fresh_system: Debian 12 in $root"
debootstrap --variant=minbase bookworm "$root" "$mirror" > "$root.log" || { tail -n 20 "$root.log" >&2; exit 1; }
for part in sources.list sources.list.d apt.conf.d keyrings; do
  rm -rf "$root/etc/apt/$part"
  [ ! -e "/etc/apt/$part" ] || cp -a "/etc/apt/$part" "$root/etc/apt/"
done
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mkdir "$root/source"
git ls-files -z | tar --null -T - -c | tar -x -C "$root/source"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
  chroot "$root" sh -euc '
  cd /source
  apt-get -q update >&2
  apt-get -q install -y --no-install-recommends make git >&2
  make deps
  make build
  .ci/packages build
  make test-cli
  make demo CHECK_HASH=1
'
umount -R "$root/proc" "$root/dev" "$root/sys"
rm -rf --one-file-system "$root" "$root.log"
echo "fresh_system: the packages of \`make deps\` are enough"
