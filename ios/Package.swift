// swift-tools-version: 6.0
import PackageDescription

// scripts/build-xcframework.sh generates Frameworks/LocketCoreFFI.xcframework and
// Sources/LocketCore/LocketCore.swift.
let package = Package(
    name: "Locket",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Locket", targets: ["Locket"])],
    targets: [
        .binaryTarget(name: "LocketCoreFFI", path: "Frameworks/LocketCoreFFI.xcframework"),
        .target(
            name: "LocketCore",
            dependencies: ["LocketCoreFFI"],
            linkerSettings: [.linkedFramework("Accelerate"), .linkedLibrary("c++")]
        ),
        .target(name: "Locket", dependencies: ["LocketCore"]),
        .testTarget(name: "LocketTests", dependencies: ["Locket"]),
    ]
)
