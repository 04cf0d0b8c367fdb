// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
internal import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDClient {
    /// A failure of whoever is told of changes, kept apart from those of the stream.
    private struct ListenerFailure: Error {
        var error: any Error
    }

    /// Listens to a stream of changes, on a new stream whenever one breaks, until the task is cancelled.
    ///
    /// - Parameters:
    ///   - request: makes the request for a cluster; asked anew for each stream, to go on where the last one ended.
    ///   - onResponse: takes in what came; says what its header means, and ends the watch by throwing.
    nonisolated func watch<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, request: (UInt64) -> Request,
        onResponse: (Response, UInt64) async throws -> PDVerdict
    ) async throws {
        var failures = 0
        while true {
            try Task.checkCancellation()
            var attempts = PDAttempts()
            var verdict = PDVerdict.later(reason: "no leader is elected")
            let deadline = Deadline(after: self.configuration.requestTimeout, from: self.clock.now)
            if let target = try await self.targetForWatch(deadline: deadline, attempts: &attempts) {
                do {
                    verdict = try await target.channel.withMessages(
                        method, options: CallOptions(metadata: target.metadata)
                    ) { stream in
                        try await stream.send(request(target.clusterID))
                        stream.finish()
                        while let response = try await stream.next() {
                            do {
                                let verdict = try await onResponse(response, target.clusterID)
                                guard case .answered = verdict else { return verdict }
                            } catch {
                                throw ListenerFailure(error: error)
                            }
                            failures = 0
                        }
                        return PDVerdict.leaderLost(reason: "the stream is at its end")
                    }
                } catch let failure as ListenerFailure {
                    throw failure.error
                } catch let error as RPCError {
                    verdict = PDVerdict(error, isCancelled: Task.isCancelled)
                    if case .leaderLost = verdict {
                        await self.failed(target, isUnreachable: error.delivery != .answered)
                    }
                }
            }
            switch verdict {
            case .fail(let error): throw error
            case .answered, .notFound, .later, .leaderLost: break
            }
            self.logger.debug("watch of PD interrupted", metadata: ["pd.call": "\(method.name)"])
            // A stream that worked and broke is replaced at once.
            if failures > 0 {
                let delay = BackoffKind.pdRPC.delay(attempt: failures - 1, random: self.random())
                try await self.clock.sleep(until: self.clock.now.advanced(by: delay))
            }
            failures += 1
        }
    }

    /// The one to ask; nil where there is none at the moment.
    private nonisolated func targetForWatch(
        deadline: Deadline, attempts: inout PDAttempts
    ) async throws(PDError) -> PDTarget? {
        do throws(PDError) {
            return try await self.target(deadline: deadline, attempts: &attempts)
        } catch {
            guard error.code == .unreachable || error.code == .deadlineExceeded else { throw error }
            return nil
        }
    }
}
