// swift-tools-version:6.2
// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

/// Applied to every target.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0335-existential-any.md
    .enableUpcomingFeature("ExistentialAny"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0409-access-level-on-imports.md
    .enableUpcomingFeature("InternalImportsByDefault"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0444-member-import-visibility.md
    .enableUpcomingFeature("MemberImportVisibility"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0461-async-function-isolation.md
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// For the targets that call C: every unsafe use is marked where it stands.
/// https://github.com/swiftlang/swift-evolution/blob/main/proposals/0458-strict-memory-safety.md
let settingsWithC: [SwiftSetting] = settings + [.strictMemorySafety()]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "tikv-swift",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "TiKV", targets: ["TiKV"]),
        .library(name: "TiKVEmbedded", targets: ["TiKVEmbedded"]),
        .executable(name: "tikv-cli", targets: ["tikv-cli"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-protobuf.git", from: "1.39.0", traits: []),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CNGHTTP2",
            path: "Sources/CNGHTTP2",
            pkgConfig: "libnghttp2",
            providers: [.apt(["libnghttp2-dev"]), .brew(["libnghttp2"])]
        ),
        .systemLibrary(
            name: "COpenSSL",
            path: "Sources/COpenSSL",
            pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]
        ),
        .systemLibrary(
            name: "CZlib",
            path: "Sources/CZlib",
            pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]
        ),
        .target(
            name: "TiKVProto",
            dependencies: [protobuf],
            path: "Sources/Proto",
            exclude: ["schema"],
            swiftSettings: settings
        ),
        .target(
            name: "TiKVTransport",
            dependencies: [
                "CNGHTTP2", "COpenSSL", "CZlib", "TiKVProto", nioCore, nioHTTP1, nioPosix, deque, protobuf, logging,
            ],
            path: "Sources/Transport",
            swiftSettings: settingsWithC
        ),
        .target(
            name: "TiKVPD",
            dependencies: ["TiKVProto", "TiKVTransport", nioCore, deque, protobuf, logging],
            path: "Sources/PD",
            swiftSettings: settings
        ),
        .target(
            name: "TiKVOrderedMap",
            path: "Sources/OrderedMap",
            swiftSettings: settingsWithC
        ),
        .target(
            name: "TiKVWriteBuffer",
            path: "Sources/WriteBuffer",
            swiftSettings: settingsWithC
        ),
        .target(
            name: "TiKVFailpoints",
            path: "Sources/Failpoints",
            swiftSettings: settings
        ),
        .target(
            name: "TiKV",
            dependencies: [
                "TiKVFailpoints", "TiKVOrderedMap", "TiKVPD", "TiKVProto", "TiKVTransport", "TiKVWriteBuffer", nioCore,
                nioPosix, protobuf, logging, lifecycle,
            ],
            path: "Sources/TiKV",
            swiftSettings: settings
        ),
        .target(
            name: "TiKVEmbedded",
            dependencies: [
                "TiKVOrderedMap", "TiKVProto", "TiKVTransport", nioCore, nioPosix, protobuf, logging, lifecycle,
            ],
            path: "Sources/Embedded",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "tikv-cli",
            dependencies: [
                "TiKV", "TiKVEmbedded", "TiKVPD", "TiKVTransport", nioCore, nioPosix, logging, arguments, signals,
            ],
            path: "Sources/CLI",
            swiftSettings: settings
        ),
        .target(
            name: "HistoryChecker",
            path: "Tests/HistoryChecker",
            swiftSettings: settings
        ),
        .target(
            name: "ChaosRuns",
            dependencies: ["HistoryChecker", "TiKV", "TiKVEmbedded"],
            path: "Tests/ChaosRuns",
            swiftSettings: settings
        ),
        // What `make chaos` runs; no product.
        .executableTarget(
            name: "chaos",
            dependencies: ["ChaosRuns", arguments],
            path: "Tests/Chaos",
            swiftSettings: settings
        ),
        // For Tests/Foreign; no product, so users never see it.
        .executableTarget(
            name: "transport-peer",
            dependencies: ["TiKVProto", "TiKVTransport", nioPosix, protobuf, logging],
            path: "Tests/TransportPeer",
            swiftSettings: settings
        ),
        // What `make bench` drives the transport with; no product.
        .executableTarget(
            name: "transport-bench",
            dependencies: ["TiKVProto", "TiKVTransport", nioCore, nioPosix, protobuf, logging, arguments, signals],
            path: "Sources/TransportBench",
            swiftSettings: settings
        ),
        .testTarget(
            name: "UnitTests",
            dependencies: [
                "HistoryChecker", "TiKV", "TiKVEmbedded", "TiKVFailpoints", "TiKVOrderedMap", "TiKVPD", "TiKVProto",
                "TiKVTransport", "TiKVWriteBuffer", nioCore, nioPosix, nioEmbedded, protobuf, logging,
            ],
            path: "Tests/UnitTests",
            swiftSettings: settings
        ),
        .testTarget(
            name: "E2ETests",
            dependencies: [
                "ChaosRuns", "HistoryChecker", "TiKV", "TiKVEmbedded", "TiKVPD", "TiKVProto", "TiKVTransport",
                "TiKVWriteBuffer", nioCore, nioPosix, protobuf, logging, lifecycle,
            ],
            path: "Tests/E2ETests",
            swiftSettings: settings
        ),
        .testTarget(
            name: "FailpointTests",
            dependencies: ["TiKV", "TiKVEmbedded", "TiKVFailpoints"],
            path: "Tests/FailpointTests",
            swiftSettings: settings
        ),
    ]
)

// `make fuzz` alone: links with libFuzzer. What it runs is the unit tests' own, which replay its corpus.
if Context.environment["TIKV_FUZZ"] != nil {
    package.targets.removeAll { $0.type == .test }
    package.targets.append(
        .executableTarget(
            name: "transport-fuzz",
            dependencies: ["TiKVProto", "TiKVTransport", nioCore, nioEmbedded, protobuf, logging],
            path: "Tests",
            exclude: [
                "Chaos", "ChaosRuns", "E2ETests", "FailpointTests", "Foreign", "Fuzz/Corpus", "HistoryChecker", "Tools",
                "TransportPeer",
            ],
            sources: ["Fuzz", "UnitTests/Transport/Fuzzing"],
            swiftSettings: settings
        ))
}
