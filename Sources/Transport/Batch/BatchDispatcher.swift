// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The server's side of a `BatchCommands` stream: runs a handler for each command and hands the answers to the
/// connection, which sends those that are ready at the same time in one message.
struct BatchDispatcher: Sendable {
    let commands: [Int: @Sendable ([UInt8], ServerCall) async throws -> [UInt8]]
    let feedback: @Sendable () -> StoreFeedback?

    /// The field of `BatchCommandsEmptyRequest`, which asks for nothing and is answered.
    private static let emptyField = 255

    /// Serves until the client has no more commands and each has its answer, or until the call is cancelled.
    func serve(_ core: ServerStreamCore, _ call: ServerCall) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while let message = try await core.connection.next(on: core.stream) {
                for item in try BatchEnvelope(decoding: message).items {
                    group.addTask { await self.answer(item, core, call) }
                }
            }
        }
    }

    private func answer(_ item: BatchEnvelope.Item, _ core: ServerStreamCore, _ call: ServerCall) async {
        var answer = BatchEnvelope.Item(id: item.id, field: item.field, payload: [])
        do {
            if let handler = self.commands[item.field] {
                answer.payload = try await handler(item.payload, call)
            } else if item.field == Self.emptyField {
                answer.payload = item.payload
            } else {
                answer.field = 0
            }
        } catch let error as RPCError where error.code == .unavailable {
            return core.connection.end(core.stream, error)
        } catch {
            if Task.isCancelled { return }
            answer.field = 0
        }
        core.connection.answer(answer, on: core.stream, feedback: self.feedback)
    }
}
