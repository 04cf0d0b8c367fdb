// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct BenchRegionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "regions",
        abstract: "Measure the client's memory of regions: look-ups, insertions, bytes for each.",
        discussion: "Needs no cluster. The numbers mean something in a release build only."
    )

    @Option(name: .long, help: "How many regions there are.") var regions = 100_000
    @Option(name: .long, help: "How many keys are looked up.") var lookups = 2_000_000

    func validate() throws {
        guard self.regions > 0, self.lookups > 0 else { throw ValidationError("the numbers must be positive") }
    }

    func run() async throws {
        let (times, bytes) = await RegionCacheMeasurement.run(
            count: self.regions, lookups: self.lookups, residentBytes: Self.residentBytes)
        guard times.misses == 0 else { throw CommandFailure("\(times.misses) keys were not found") }
        print("regions               \(times.count)")
        print("look-up               \(Self.nanoseconds(times.lookup)) ns")
        print("insertion, one by one \(Self.nanoseconds(times.insertion)) ns")
        print("insertion, batches    \(Self.nanoseconds(times.batchedInsertion)) ns")
        print("memory                \(bytes) bytes a region")
    }

    private static func nanoseconds(_ duration: Duration) -> Int { Int(duration / .nanoseconds(1)) }

    /// What the process has in memory, as Linux tells it; 0 elsewhere.
    private static func residentBytes() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
    }
}
