#!/usr/bin/env bash
# make_phone.sh DIR [ARCH]: builds DIR/root, a userland of ARCH (arm64 or amd64) that answers adb as an unrooted phone does
# (Google's adbd, mksh as /system/bin/sh, toybox), and for arm64 DIR/qemu-aarch64, the emulator that runs it. Installs
# nothing on the machine.
# Needs root, dpkg-deb, apt-get, xz and the machine's Debian mirror.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$1; arch=${2:-arm64}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
mirror=${mirror:-http://deb.debian.org/debian}
mkdir -p "$dir"; cd "$dir"

apt_for() { # apt for one architecture, with lists and state of its own
  local arch=$1
  mkdir -p "apt-$arch"/{lists/partial,cache/archives/partial,state}; : > "apt-$arch/status"
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" bookworm "$keyring" "$mirror" bookworm-backports \
    > "apt-$arch/sources.list"
  apt=(-qq "-oAPT::Architecture=$arch" "-oAPT::Architectures=$arch" "-oDir::State=$PWD/apt-$arch/state"
       "-oDir::State::status=$PWD/apt-$arch/status" "-oDir::State::lists=$PWD/apt-$arch/lists"
       "-oDir::Cache=$PWD/apt-$arch/cache" "-oDir::Etc::sourcelist=$PWD/apt-$arch/sources.list"
       -oDir::Etc::sourceparts=/dev/null -oAPT::Sandbox::User=root -oDebug::NoLocking=1)
  apt-get "${apt[@]}" update
}

if [ "$arch" = arm64 ]; then
  apt_for "$(dpkg --print-architecture)"
  mkdir -p unpacked
  (cd unpacked && apt-get "${apt[@]}" download qemu-user-static && dpkg-deb -x qemu-user-static_*.deb .)
  mv unpacked/usr/bin/qemu-aarch64-static qemu-aarch64; rm -rf unpacked
fi

apt_for "$arch"
apt-get "${apt[@]}" install -y --no-install-recommends --download-only -t bookworm-backports adbd
apt-get "${apt[@]}" install -y --no-install-recommends --download-only mksh toybox
rm -rf root; mkdir root
for deb in apt-"$arch"/cache/archives/*.deb; do dpkg-deb -x "$deb" root; done
rm -rf apt-*

cd root
rm -rf usr/share
mkdir -p proc sys dev tmp etc data/local/tmp sdcard system/bin vendor
cp bin/mksh system/bin/sh; cp bin/toybox system/bin/toybox; ln -sf /system/bin/sh bin/sh
for tool in '[' basename cat chmod chown cp cut date dd df dirname du echo env expr false find free grep head hostname id \
            kill killall ln ls md5sum mkdir mkfifo mktemp mv nice nohup nproc pgrep pidof ps pwd readlink realpath renice \
            rm rmdir sed seq setsid sha256sum sleep sort stat sync tail tar taskset tee test time timeout top touch tr \
            true truncate uname uniq uptime wc which xargs; do ln -sf toybox "system/bin/$tool"; done
install -m 755 "$here"/bin/* system/bin/
printf 'root:x:0:0::/:/system/bin/sh\nshell:x:2000:2000::/:/system/bin/sh\n' > etc/passwd
printf 'root:x:0:\nshell:x:2000:\n' > etc/group
: > etc/cpuinfo
chmod 755 . data data/local
