#!/usr/bin/env bash
# Builds and tests the app's Swift package on Linux, in a chroot of Debian trixie with its own Swift (root; apt packages
# mmdebstrap and util-linux). The chroot is made once (a minute, 2.5 GB) and kept in FOLDER, as what is built is.
#   build.sh FOLDER          make the chroot, build, run the tests, parse what only Apple's SDK can build
#   build.sh FOLDER chroot   make the chroot alone, which needs a mirror of Debian
#   build.sh FOLDER shell    a shell in it
#   build.sh FOLDER sanitize address|thread   build everything again with a sanitizer (a minute), and run the tests
#   build.sh FOLDER executorch ROOT           build it with ExecuTorch (a minute); ROOT: the folder `executorch` of its wheel
# It leaves FOLDER/lutbench-app, a script that starts the server outside of the chroot; FOLDER/lutbench-app-address,
# -thread and -executorch are those of the others.
set -euo pipefail
folder=$(realpath -m "${1:?a folder for the chroot}")
here=$(cd "$(dirname "$0")/.." && pwd)
repository=$(cd "$here/../.." && pwd)
root=$folder/trixie
packages=swiftlang,swiftlang-dev,libc6-dev,libstdc++-14-dev,nlohmann-json3-dev,libsodium-dev,pkgconf

if [ ! -e "$root/made" ]; then
  rm -rf "$root"
  mkdir -p "$folder"
  mmdebstrap --quiet --variant=apt --include="$packages" trixie "$root"
  touch "$root/made"
fi

[ "${2:-}" = chroot ] && exit

executorch= # of its wheel, where it is built with it
inside() { # in a mount namespace of its own: nothing stays mounted, however this ends
  unshare --mount --fork --pid --kill-child -- bash -euc '
    root=$1 repository=$2 executorch=$3; shift 3
    mkdir -p "$root/lutbench" "$root/build" "$root/executorch"
    mount --bind -o ro "$repository" "$root/lutbench"
    [ -z "$executorch" ] || mount --bind -o ro "$executorch" "$root/executorch"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    exec chroot "$root" env -i PATH=/usr/libexec/swift/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
  ' bash "$root" "$repository" "$executorch" "$@"
}

if [ "${2:-}" = shell ]; then
  inside bash
  exit
fi

starter() { # NAME PROGRAM: a script that starts a program of the chroot outside of it; the first thing that a sanitizer
  # finds ends it, so that nobody who only asks whether it still runs can miss that
  local libraries loader
  libraries=$root/usr/lib/$(uname -m)-linux-gnu:$root/usr/libexec/swift/lib/swift/linux${executorch:+:$executorch/lib}
  loader=$(find "$root/usr/lib/" "$root/usr/lib64/" -maxdepth 1 -name 'ld-linux-*.so.*' 2> /dev/null | head -n 1 || true)
  cat > "$folder/$1" << END
#!/bin/sh
# Debian trixie's loader and libraries, from the chroot: the program is newer than this machine's own.
export ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=halt_on_error=1
exec $loader --library-path $libraries $root/$2 "\$@"
END
  chmod +x "$folder/$1"
}

package=/lutbench/device_agents/ios
if [ "${2:-}" = sanitize ]; then
  how=${3:-address}
  swift="--package-path $package --scratch-path /build-$how --disable-sandbox --sanitize=$how"
  # leaks are not looked for: XCTest itself keeps what it made to its end
  inside ASAN_OPTIONS=detect_leaks=0 bash -euc "swift build $swift --build-tests && swift test $swift --skip-build"
  starter "lutbench-app-$how" "build-$how/debug/lutbench-app"
  exit
fi

if [ "${2:-}" = executorch ]; then
  executorch=$(realpath "${3:?the folder executorch of an installed wheel}")
  version=$(basename "$(echo "$executorch"/../executorch-*.dist-info)" .dist-info)
  inside EXECUTORCH_ROOT=/executorch "EXECUTORCH_VERSION=${version#executorch-}" swift build --disable-sandbox -c release \
    --package-path $package/WithExecuTorch --scratch-path /build-executorch
  # What Apple's build does not define, for the libraries there are built without it.
  inside bash -euc "cd $package/Sources/LutbenchCore && clang++ -std=c++17 -fsyntax-only -DLUTBENCH_PORTABLE \
    -DLUTBENCH_EXECUTORCH_VERSION='\"0\"' -DC10_USING_CUSTOM_GENERATED_MACROS -isystem /executorch/include \
    -isystem /executorch/include/executorch/runtime/core/portable_type/c10 -I runner runner/executorch_engine.cpp"
  starter lutbench-app-executorch build-executorch/release/lutbench-app
  exit
fi

swift="swift %s --package-path $package --scratch-path /build --disable-sandbox -c release -Xswiftc -enable-testing"
# shellcheck disable=SC2059
inside bash -euc "$(printf "$swift" build) --build-tests && $(printf "$swift" test) --skip-build"
# What Apple's build has beside: a runtime that is linked, a header that lies elsewhere.
inside bash -euc "cd $package/Sources/LutbenchCore && clang++ -std=c++17 -fsyntax-only -DLUTBENCH_PORTABLE \
  -DLUTBENCH_LINKED_ONNX -I apple -I /usr/include/nlohmann -I runner -I onnxruntime -I include \
  runner/onnx_engine.cpp runner/engines_onnx.cpp runner/job.cpp"
# The manifests as Apple's build reads them; no package is fetched.
for manifest in . WithExecuTorch; do
  inside bash -euc "mkdir -p /build/ios/$manifest && cd /build/ios/$manifest && \
    sed 's/os(Linux)/false/' $package/$manifest/Package.swift > Package.swift && swift package dump-package > /dev/null"
done
inside bash -euc "cd $package && swiftc -parse -D LUTBENCH_EXECUTORCH App/*.swift && swiftc -parse Sources/LutbenchServer/*.swift"
# The types of Core ML's engine, against declarations of what it uses: Core ML itself is Apple's.
inside bash -euc "mkdir -p /build/declared && cd /build/declared && built=\$(echo /build/*/release) && \
  swiftc -parse-as-library -emit-module -module-name CoreML $package/linux/CoreML.swift && \
  swiftc -typecheck -swift-version 5 -parse-as-library -I . -I \$built/Modules -I $package/Sources/Clibsodium \
  -Xcc -fmodule-map-file=\$built/LutbenchCore.build/module.modulemap $package/App/CoreMLEngine.swift"

starter lutbench-app build/release/lutbench-app
