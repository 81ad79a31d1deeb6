// swift-tools-version: 5.9
// The app's core and server. On Linux they are built and tested without the app (linux/build.sh): there ONNX Runtime's
// library is opened at run time and libsodium is the system's; on iOS both are part of the app.
import PackageDescription

let version = "0.2.0"  // lutbench's; tests hold it against the Python package's

#if os(Linux)
let packages: [Package.Dependency] = []
let runtime: [Target.Dependency] = []
let sodium: Target.Dependency = "Clibsodium"
let systemTargets: [Target] = [
    .systemLibrary(name: "Clibsodium", path: "Sources/Clibsodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .executableTarget(name: "lutbench-app", dependencies: ["LutbenchServer"], path: "Sources/lutbench-app"),
]
#else
let packages: [Package.Dependency] = [
    .package(url: "https://github.com/microsoft/onnxruntime-swift-package-manager", exact: "1.24.2"),
    .package(url: "https://github.com/nlohmann/json", exact: "3.12.0"),
    .package(url: "https://github.com/jedisct1/swift-sodium", exact: "0.11.0"),
]
let runtime: [Target.Dependency] = [
    .product(name: "onnxruntime", package: "onnxruntime-swift-package-manager"),
    .product(name: "nlohmann-json", package: "json"),
]
let sodium: Target.Dependency = .product(name: "Clibsodium", package: "swift-sodium")
let systemTargets: [Target] = []
#endif

let package = Package(
    name: "Lutbench",
    platforms: [.iOS(.v15)],
    products: [.library(name: "LutbenchServer", targets: ["LutbenchServer", "LutbenchCore"])],
    dependencies: packages,
    targets: systemTargets + [
        .target(
            name: "LutbenchCore",
            dependencies: runtime,
            path: "Sources/LutbenchCore",
            sources: ["core.cpp", "programs.cpp"]
                + ["digest", "engines_onnx", "job", "measure", "onnx_engine", "records", "session", "signals", "syscalls"]
                .map { "runner/\($0).cpp" } + ["runner/system.cpp", "runner/tensor.cpp"],
            publicHeadersPath: "include",
            cxxSettings: [
                .headerSearchPath("runner"),
                .headerSearchPath("onnxruntime"),
                .headerSearchPath("apple", .when(platforms: [.iOS])),
                .define("LUTBENCH_RUNNER_VERSION", to: "\"\(version)\""),
                .define("LUTBENCH_PORTABLE"),
                .define("LUTBENCH_LINKED_ONNX", .when(platforms: [.iOS])),
            ]
        ),
        .target(name: "LutbenchServer", dependencies: ["LutbenchCore", sodium], path: "Sources/LutbenchServer"),
        .testTarget(name: "LutbenchServerTests", dependencies: ["LutbenchServer"], path: "Tests/LutbenchServerTests"),
    ],
    cxxLanguageStandard: .cxx17
)
