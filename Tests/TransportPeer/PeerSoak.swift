// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOPosix
import SwiftProtobuf
import Synchronization
import TiKVProto
import TiKVTransport

#if canImport(Glibc)
import Glibc
#endif

/// `transport-peer soak connects|calls COUNT`: client and server in one process, and after each tenth of the way a line
/// with what they hold. Nothing may grow with the count.
final class PeerSoak: Sendable {
    struct Line: Codable {
        var done: Int
        var descriptors: Int
        /// Bytes that malloc has given out.
        var memory: Int
        /// How calls ended, by code.
        var codes: [String: Int]
        /// Pools that are still there, of those that were shut down.
        var pools: Int
    }

    /// A pool that should be gone.
    private struct Weak: Sendable {
        weak let pool: ConnectionPool?
    }

    private static let logger = Logger(label: "soak") { _ in SwiftLogNoOpLogHandler() }
    private static let rawGet = TikvpbTikvRPC.rawGet
    private let server: RPCServer
    private let count: Int
    private let codes = Mutex<[String: Int]>([:])

    private init(server: RPCServer, count: Int) {
        self.server = server
        self.count = count
    }

    static func run(_ what: String, _ count: Int) async throws {
        var services = RPCServices()
        services.register(Self.rawGet) { request, _ in
            // An empty key waits to be cancelled.
            if request.key.isEmpty {
                let (stream, continuation) = AsyncStream<Void>.makeStream()
                for await _ in stream {}
                continuation.finish()
            }
            var response = Kvrpcpb_RawGetResponse()
            response.value = request.key
            return response
        }
        services.registerBatchCommands()
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: services, group: MultiThreadedEventLoopGroup.singleton,
            logger: Self.logger)
        await withDiscardingTaskGroup { tasks in
            tasks.addTask { await server.run() }
            let soak = PeerSoak(server: server, count: count)
            if what == "connects" { await soak.connects() } else { await soak.calls() }
            server.shutdown()
        }
    }

    private func pool(batched: Bool) -> ConnectionPool {
        ConnectionPool(
            address: self.server.address, group: MultiThreadedEventLoopGroup.singleton,
            configuration: ConnectionConfiguration(batch: batched ? .init() : nil), logger: Self.logger)
    }

    // MARK: - Connections

    private func connects() async {
        let side = 10
        for tenth in 0..<10 {
            var pools: [Weak] = []
            for _ in 0..<(self.count / 10 / side) {
                await withDiscardingTaskGroup { group in
                    for index in 0..<side {
                        let pool = self.pool(batched: index % 2 == 0)
                        pools.append(Weak(pool: pool))
                        group.addTask {
                            await self.call(pool, key: "k")
                            // Now and then in the middle of a call.
                            if index == 3 {
                                await withDiscardingTaskGroup { calls in
                                    calls.addTask { await self.call(pool, key: "") }
                                    calls.addTask { await pool.shutdown() }
                                }
                            }
                            await pool.shutdown(gracefully: index == 4 ? .seconds(5) : nil)
                        }
                    }
                }
            }
            await self.report((tenth + 1) * (self.count / 10), pools)
        }
    }

    // MARK: - Calls

    private func calls() async {
        let pools = [self.pool(batched: false), self.pool(batched: true)]
        let turn = 600
        for tenth in 0..<10 {
            for _ in 0..<max(self.count / 10 / turn, 1) {
                await withDiscardingTaskGroup { group in
                    for index in 0..<turn {
                        let pool = pools[index % 2]
                        guard index % 3 == 0 else {
                            group.addTask { await self.call(pool, key: "key \(index)") }
                            continue
                        }
                        // Half of those that are cancelled wait for an answer; half are about to get one.
                        let key = index % 4 == 0 ? "" : "key \(index)"
                        group.addTask {
                            await withDiscardingTaskGroup { call in
                                call.addTask { await self.call(pool, key: key) }
                                if index % 6 == 0 { await Task.yield() }
                                call.cancelAll()
                            }
                        }
                    }
                }
            }
            await self.report((tenth + 1) * (self.count / 10), [])
        }
        for pool in pools { await pool.shutdown() }
    }

    private func call(_ pool: ConnectionPool, key: String) async {
        var request = Kvrpcpb_RawGetRequest()
        request.key.append(contentsOf: key.utf8)
        var code = RPCError.Code.ok
        do throws(RPCError) {
            let answer = try await pool.unary(Self.rawGet, request)
            if answer.value != request.key { code = .dataLoss }
        } catch {
            code = error.code
        }
        self.codes.withLock { $0["\(code)", default: 0] += 1 }
    }

    // MARK: - Counting

    private func report(_ done: Int, _ pools: [Weak]) async {
        // The server learns a little later that a connection is gone: until then there are more descriptors than this.
        let rest = 64
        var patience = 100_000
        while patience > 0, pools.contains(where: { $0.pool != nil }) || Self.descriptors() > rest {
            patience -= 1
            await Task.yield()
        }
        let line = Line(
            done: done, descriptors: Self.descriptors(), memory: Self.memory(), codes: self.codes.withLock { $0 },
            pools: pools.count { $0.pool != nil })
        Console.write(line)
    }

    private static func descriptors() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
    }

    /// What malloc says at the end of its report: what it has from the system, less what lies free in it.
    private static func memory() -> Int {
        #if canImport(Glibc)
        guard let file = tmpfile() else { return 0 }
        defer { fclose(file) }
        _ = mallocInfo(0, file)
        rewind(file)
        var report: [UInt8] = []
        while case let byte = fgetc(file), byte >= 0 { report.append(UInt8(truncatingIfNeeded: byte)) }
        let lines = String(decoding: report, as: UTF8.self).split(separator: "\n")
        /// The last such line is the one over all arenas.
        func size(_ kind: String) -> Int {
            let line = lines.last { $0.hasPrefix("<\(kind)") } ?? ""
            return Int(line.split(separator: "size=\"").last?.prefix { $0.isNumber } ?? "") ?? 0
        }
        return size("system type=\"current\"") - size("total type=\"fast\"") - size("total type=\"rest\"")
            + size("total type=\"mmap\"")
        #else
        return 0
        #endif
    }
}

#if canImport(Glibc)
/// glibc's; Swift's module of it leaves out the header.
@_silgen_name("malloc_info")
private func mallocInfo(_ options: CInt, _ file: UnsafeMutablePointer<FILE>) -> CInt
#endif
