#!/usr/bin/env bash
# up_phone.sh DIR PORT MEGABYTES [USERLAND]: the phone's init: mounts, then adbd on PORT, started again whenever it ends (after the
# seconds in the phone's /dev/adbd_delay; "never" keeps it away). Run as root in namespaces of its own:
#   unshare --kill-child -m -u -n -p -f bash up_phone.sh ...
# What it changes lies in file systems of its own, so several phones can share DIR. MEGABYTES: of /data/local/tmp.
# aarch64 programs start through binfmt_misc, see emulated.py.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$1/root; port=$2; megabytes=$3; userland=${4:-}; core=cortex-a76; path=/system/bin:/bin
hostname phone
ip link set lo up
mount --make-rprivate /

mount -t tmpfs -o size=1m sys "$root/sys"
cpu=$root/sys/devices/system/cpu; n=$(nproc)
mkdir -p "$cpu" "$root/sys/class/thermal/thermal_zone0" "$root/sys/class/thermal/thermal_zone1"
for f in possible present online; do echo "0-$((n - 1))" > "$cpu/$f"; done
for ((c = 0; c < n; c++)); do # the first half little cores, the second half big ones
  d=$cpu/cpu$c; mkdir -p "$d/cpufreq" "$d/topology"
  max=$((c < n / 2 ? 1690000 : 2314000))
  echo interactive > "$d/cpufreq/scaling_governor"
  for f in cpuinfo_max_freq scaling_max_freq scaling_cur_freq; do echo $max > "$d/cpufreq/$f"; done
  for f in cpuinfo_min_freq scaling_min_freq; do echo 455000 > "$d/cpufreq/$f"; done
  echo 0 > "$d/topology/physical_package_id"; echo $c > "$d/topology/core_id"
  echo "0-$((n - 1))" > "$d/topology/core_siblings_list"; echo $c > "$d/topology/thread_siblings_list"
done
thermal=$root/sys/class/thermal
echo BIG > "$thermal/thermal_zone0/type"; echo 35200 > "$thermal/thermal_zone0/temp"
echo battery > "$thermal/thermal_zone1/type"; echo 29000 > "$thermal/thermal_zone1/temp"
mkdir "$root/sys/recorded"; cp "$here"/recorded/* "$root/sys/recorded/" # what getprop and dumpsys answer
native=$([ -e "$1/qemu-aarch64" ] || echo yes)
[ -z "$native" ] || cp "$here"/recorded_native/* "$root/sys/recorded/"
chown -R 2000:2000 "$root/sys/recorded" # settings and keys change it

if [ -n "$userland" ]; then # a release with its commands only, on a phone of its time
  rm -r "$thermal"/thermal_zone*
  cp -r "$userland/sys/." "$root/sys/"; cp "$userland"/recorded/* "$root/sys/recorded/"
  while read -r name; do rm "$root/sys/recorded/$name"; done < "$userland/lacks"
  mount --bind "$userland/bin" "$root/system/bin"
  core=$(cat "$userland/core"); path=/system/bin
fi

mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
[ -n "$native" ] || for ((c = 0; c < n; c++)); do
  printf 'processor\t: %d\nBogoMIPS\t: 38.40\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd41\nCPU revision\t: 0\n\n' "$c"
done > "$root/dev/cpuinfo"
[ -z "$userland" ] || cp "$userland/cpuinfo" "$root/dev/cpuinfo"
# ONNX Runtime's aarch64 start-up crashes on an x86 /proc/cpuinfo
[ -n "$native" ] || mount --bind "$root/dev/cpuinfo" "$root/proc/cpuinfo"
for f in null zero urandom random; do touch "$root/dev/$f"; mount --bind "/dev/$f" "$root/dev/$f"; done
mkdir -p "$root/dev/pts"; mount -t devpts pts "$root/dev/pts" -o newinstance,ptmxmode=0666; ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o "size=${megabytes}m,mode=771,uid=2000,gid=2000" tmp "$root/data/local/tmp"

echo 0 > "$root/dev/adbd_delay"
while true; do
  env -i PATH="$path" HOME=/data/local/tmp ADBD_PORT="$port" QEMU_CPU="$core" \
    "$(command -v chroot)" --userspec=2000:2000 "$root" /usr/lib/android-sdk/platform-tools/adbd > "$root/dev/adbd.log" 2>&1 &
  echo $! > "$root/dev/adbd_pid"
  wait $! || true
  while delay=$(cat "$root/dev/adbd_delay"); [ "$delay" = never ]; do sleep 0.1; done
  sleep "$delay"
done
