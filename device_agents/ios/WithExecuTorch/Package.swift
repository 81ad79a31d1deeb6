// swift-tools-version: 5.9
// The app's package with ExecuTorch beside ONNX Runtime, from iOS 17 on. A package of its own: a manifest names one least
// iOS for all its targets, and ExecuTorch's asks for a later one than the app without it. On Linux (linux/build.sh) the
// libraries are those of an installed wheel.
import PackageDescription

#if os(Linux)
let root = Context.environment["EXECUTORCH_ROOT"] ?? ""  // the folder executorch of the wheel
let executorch = Context.environment["EXECUTORCH_VERSION"] ?? ""
let packages: [Package.Dependency] = []
let runtime: [Target.Dependency] = []
let include = "\(root)/include"
let headers: [CXXSetting] = [
    .unsafeFlags(["-isystem", include, "-isystem", "\(include)/executorch/runtime/core/portable_type/c10"]),
    .define("C10_USING_CUSTOM_GENERATED_MACROS"), .define("ET_EVENT_TRACER_ENABLED"), .define("ET_USE_THREADPOOL"),
]
// kernels and delegate register themselves: nothing refers to them, and the linker would leave them out
let libraries = ["", "_threadpool", "_kernels_optimized", "_kernels_quantized", "_backend_xnnpack"]
let linked: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "--no-as-needed"] + libraries.map { "\(root)/lib/libexecutorch\($0).so" })
]
let programs: [Target] = [
    .executableTarget(
        name: "lutbench-app",
        dependencies: ["LutbenchExecuTorch", .product(name: "LutbenchServer", package: "ios")],
        path: "Sources/lutbench-app",
        swiftSettings: [.define("LUTBENCH_EXECUTORCH")],
        linkerSettings: linked
    )
]
#else
let executorch = "1.5.0"  // that the revision holds: its branches are named by versions and have no tags
let packages: [Package.Dependency] = [
    .package(url: "https://github.com/pytorch/executorch", revision: "56cc93a96d5fb8d21554ec5f00fbad5a5b228bc4"),
]
let runtime: [Target.Dependency] = [
    .product(name: "executorch", package: "executorch"),
    .product(name: "backend_xnnpack", package: "executorch"),
    .product(name: "kernels_optimized", package: "executorch"),
    .product(name: "kernels_quantized", package: "executorch"),
]
let headers: [CXXSetting] = []  // they come with the product, and say themselves how they want to be read
let programs: [Target] = []
#endif

let package = Package(
    name: "WithExecuTorch",
    platforms: [.iOS(.v17)],
    products: [.library(name: "LutbenchExecuTorch", targets: ["LutbenchExecuTorch"])],
    dependencies: packages + [.package(path: "..")],
    targets: programs + [
        .target(
            name: "LutbenchExecuTorch",
            dependencies: runtime + [.product(name: "LutbenchServer", package: "ios")],
            path: "Sources/LutbenchExecuTorch",
            sources: ["add.cpp", "core/runner/executorch_engine.cpp"],
            publicHeadersPath: "include",
            cxxSettings: headers + [
                .headerSearchPath("core"),
                .headerSearchPath("core/runner"),
                .define("LUTBENCH_PORTABLE"),
                .define("LUTBENCH_EXECUTORCH_VERSION", to: "\"\(executorch)\""),
            ]
        )
    ],
    cxxLanguageStandard: .cxx17
)
