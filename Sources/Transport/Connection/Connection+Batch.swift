// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import SwiftProtobuf
internal import TiKVProto

/// The connection's one `BatchCommands` stream: opened with the first command, opened anew when it broke.
extension Connection {
    struct BatchState {
        var correlator = BatchCorrelator<ClientCall>()
        /// The stream that is open now.
        var stream: HTTP2Stream?
        /// That stream has brought an answer.
        var hasAnswered = false
        /// The server has no BatchCommands.
        var isUnsupported = false
        /// Where the first command of a message may wait for more; nil where nothing ever waits.
        var trigger: BatchTrigger?
        /// Commands that are enough to go at once, while the first one waits.
        var gathering: Int?
        var gatherTimer: Scheduled<Void>?
        /// Streams that broke since the last answer: a server that breaks each of them must not be asked for ever.
        var brokenInARow = 0
    }

    private static let mostBrokenInARow = 3
    /// Bytes that may lie queued on the stream before commands stay in the queue, where they can still be taken back.
    private static let batchBuffer = 256 << 10

    /// Sends one command through the batch stream and waits for its answer.
    ///
    /// Cancellation and deadline take back this command alone. Throws `unimplemented`, not sent, where the server has no
    /// BatchCommands: the command can go by itself then.
    nonisolated func command(
        field: Int, payload: [UInt8], priority: UInt64, deadline: NIODeadline?
    ) async throws(RPCError) -> [UInt8] {
        try await self.perform(
            ClientCall(
                .command(field: field, priority: priority), path: "", message: payload, deadline: deadline,
                messageLimit: self.configuration.maxReceiveMessageSize))
    }

    func startCommand(_ call: ClientCall, field: Int, priority: UInt64, at now: NIODeadline) {
        if self.batch.isUnsupported { return self.refuse(call, Self.unsupported) }
        if let refusal = self.refusalOfNewCalls { return self.refuse(call, refusal) }
        self.batch.correlator.time = now
        call.command = self.batch.correlator.add(
            field: field, payload: call.message ?? [], priority: priority, deadline: call.deadline, waiter: call)
        call.message = nil
        self.arm(call.deadline)
        if self.batch.trigger == nil { self.flushSoon() } else { self.gather(now) }
    }

    /// Sends soon, or waits a little for more to send.
    private func gather(_ now: NIODeadline) {
        let unsent = self.batch.correlator.count - self.batch.correlator.inFlight
        if let enough = self.batch.gathering {
            if unsent >= enough { self.stopGathering() }
        } else if unsent == 1, let wait = self.batch.trigger?.began(at: now) {
            self.batch.gathering = wait.commands
            self.batch.gatherTimer = self.eventLoop.scheduleTask(in: wait.time) { [weak self] in
                self?.assumeIsolated { $0.stopGathering() }
            }
        } else {
            self.flushSoon()
        }
    }

    private func stopGathering() {
        self.batch.gathering = nil
        self.batch.gatherTimer?.cancel()
        self.flushSoon()
    }

    func cancelCommand(_ call: ClientCall) {
        self.observeEnd(of: call, .cancelled)
        guard let id = call.command, let (_, isSent) = self.batch.correlator.remove(id) else { return }
        let delivery: RPCError.Delivery = isSent ? .unknown : .notSent
        self.refuse(call, RPCError(.cancelled, "the task was cancelled", delivery: delivery))
        self.afterGivingUp()
    }

    /// Commands were given up: others may take their place in flight, or the stream may be over.
    private func afterGivingUp() {
        if self.batch.correlator.hasUnsent { self.flushSoon() }
        self.finishBatchIfDraining()
    }

    private static let unsupported = RPCError(
        .unimplemented, "the server has no BatchCommands", delivery: .notSent)

    // MARK: - Sending

    /// More commands wait, and the stream takes them.
    var canSendBatches: Bool {
        guard self.batch.correlator.hasUnsent, self.batch.gathering == nil, self.isOpenForCalls,
            let stream = self.batch.stream
        else { return false }
        return (self.link.session.queuedBytes(stream) ?? .max) < Self.batchBuffer
    }

    /// Puts what waits into messages, as far as the stream takes them. Called before each write. Returns whether there
    /// was anything.
    func sendBatches() -> Bool {
        guard self.batch.correlator.hasUnsent, self.batch.gathering == nil, let settings = self.configuration.batch,
            self.isOpenForCalls,
            let stream = self.batch.stream ?? self.openBatchStream()
        else { return false }
        var moved = false
        self.batch.correlator.time = .now()
        while (self.link.session.queuedBytes(stream) ?? .max) < Self.batchBuffer {
            var envelope = BatchEnvelope()
            envelope.items = self.batch.correlator.takeBatch(settings)
            if envelope.items.isEmpty { break }
            let frame = self.configuration.compressed(envelope.framed())
            self.link.session.send(frame, on: stream)
            self.batch.trigger?.sent(envelope.items.count)
            self.observer?.batchSent(commands: envelope.items.count, bytes: frame.count)
            moved = true
        }
        return moved
    }

    private func openBatchStream() -> HTTP2Stream? {
        let stream = self.openCommands(path: TikvpbTikvRPC.batchCommands.path)
        self.batch.stream = stream
        self.batch.hasAnswered = false
        return stream
    }

    // MARK: - Receiving

    /// Messages of the batch stream. Returns the error where one cannot be read.
    func receiveBatches(_ messages: [[UInt8]]) -> RPCError? {
        for message in messages {
            let envelope: BatchEnvelope
            do {
                envelope = try BatchEnvelope(decoding: message)
            } catch {
                return error
            }
            self.receive(envelope)
        }
        self.finishBatchIfDraining()
        return nil
    }

    private func receive(_ envelope: BatchEnvelope) {
        self.batch.brokenInARow = 0
        self.batch.hasAnswered = true
        for item in envelope.items {
            let progress = self.observer == nil ? nil : self.batch.correlator.progress(of: item.id)
            guard let (call, result) = self.batch.correlator.answer(item) else { continue }
            if let progress {
                let isOK = if case .success = result { true } else { false }
                self.observer?.commandEnded(progress.stages(until: .now(), isOK ? .ok : .failed))
            }
            switch result {
            case .success: call.finish(result)
            case .failure(let error): self.refuse(call, error)
            }
        }
        self.report(envelope)
    }

    /// A message in which some answers were too large: these fail their own commands, and no other. The server has done what
    /// they asked for, and would answer as much again.
    func receive(_ envelope: BatchEnvelope, _ oversize: [BatchSieve.Oversize]) {
        self.receive(envelope)
        for answer in oversize {
            let progress = self.observer == nil ? nil : self.batch.correlator.progress(of: answer.id)
            guard let (call, _) = self.batch.correlator.remove(answer.id) else { continue }
            if let progress { self.observer?.commandEnded(progress.stages(until: .now(), .failed)) }
            let limit = self.configuration.maxReceiveMessageSize
            self.refuse(
                call,
                RPCError(
                    .resourceExhausted, "an answer of \(answer.size) bytes is over the limit of \(limit) bytes"))
        }
        self.afterGivingUp()
    }

    private func report(_ envelope: BatchEnvelope) {
        if envelope.load > 0 { self.batch.trigger?.serverLoad = envelope.load }
        guard let onFeedback = self.onFeedback, envelope.load > 0 || envelope.feedback != nil else { return }
        var feedback = StoreFeedback(transportLayerLoad: envelope.load, health: nil)
        // Feedback that cannot be read is left out: it is advice, and the answers beside it are good.
        if let bytes = envelope.feedback, let health = try? Kvrpcpb_HealthFeedback(serializedBytes: bytes) {
            feedback.health = StoreFeedback.Health(
                storeID: health.storeID, sequence: health.feedbackSeqNo, slowScore: health.slowScore)
        }
        onFeedback(feedback)
    }

    /// Reports a command that is about to be taken out without an answer.
    private func observeEnd(of call: ClientCall, _ outcome: RPCOutcome) {
        guard let observer = self.observer, let id = call.command,
            let progress = self.batch.correlator.progress(of: id)
        else { return }
        observer.commandEnded(progress.stages(until: .now(), outcome))
    }

    // MARK: - Ending

    /// Takes out what was sent, and reports it.
    private func takeSent() -> [ClientCall] {
        let outcome: RPCOutcome =
            if case .closed(let error) = self.state, error.isClosedHere { .closed } else { .failed }
        let now = NIODeadline.now()
        let progress = self.observer == nil ? [] : self.batch.correlator.progressOfSent
        for progress in progress { self.observer?.commandEnded(progress.stages(until: now, outcome)) }
        return self.batch.correlator.removeSent()
    }

    /// The stream ended. What was in flight on it fails, its outcome unknown; what was not sent goes on a new stream.
    func batchEnded(_ failure: RPCError?) {
        self.batch.stream = nil
        // In the middle of a stream it says nothing about the commands that are in flight.
        if let failure, failure.code == .unimplemented, failure.delivery == .answered, !self.batch.hasAnswered {
            self.batch.isUnsupported = true
            for call in self.takeSent() + self.batch.correlator.removeUnsent() {
                self.refuse(call, Self.unsupported)
            }
            return
        }
        let reason = failure.map { ": \($0.message)" } ?? ""
        var broken = RPCError(.unavailable, "the stream of commands broke\(reason)", delivery: .unknown)
        if let failure, failure.delivery == .notSent, !self.batch.hasAnswered {
            // The server did not look at the stream, and so at none of its commands.
            broken.delivery = .notSent
            broken.isStreamRefused = failure.isStreamRefused
        }
        for call in self.takeSent() { self.refuse(call, broken) }
        self.batch.brokenInARow += 1
        if self.batch.brokenInARow >= Self.mostBrokenInARow {
            var error = broken
            error.delivery = .notSent
            for call in self.batch.correlator.removeUnsent() { self.refuse(call, error) }
        }
        if self.batch.correlator.hasUnsent { self.flushSoon() }
    }

    /// The connection is gone.
    func failCommands(_ error: RPCError) {
        var lost = error
        lost.delivery = .unknown
        for call in self.takeSent() { self.refuse(call, lost) }
        self.refuseUnsentCommands(error)
    }

    /// The connection takes no new calls: what was not sent can go on another one.
    func refuseUnsentCommands(_ error: RPCError) {
        var unsent = error
        unsent.delivery = .notSent
        for call in self.batch.correlator.removeUnsent() { self.refuse(call, unsent) }
    }

    /// While the connection drains, the stream ends when the last answer has come.
    func finishBatchIfDraining() {
        guard self.isDraining, self.batch.correlator.isEmpty, let stream = self.batch.stream,
            let call = self.call(of: stream)
        else { return }
        self.halfClose(call)
    }

    /// Fails the commands whose time is over. Returns the next deadline.
    func expireCommands(_ now: NIODeadline) -> NIODeadline? {
        let (expired, next) = self.batch.correlator.removeExpired(at: now)
        for command in expired {
            self.observer?.commandEnded(command.stages)
            var error = self.deadlineError(command.isSent ? .unknown : .notSent)
            error.message += ": \(command.progress)"
            self.refuse(command.waiter, error)
        }
        if !expired.isEmpty { self.afterGivingUp() }
        return next
    }
}
