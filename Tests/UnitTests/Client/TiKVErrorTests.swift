// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKV

@Suite struct TiKVErrorTests {
    @Test func descriptionLeavesOutWhatTheServerSaid() {
        let error = TiKVError(
            .serverError, "the store answered with an error", detail: "key abc is bad",
            attempts: [.init(address: "h:1", reason: "r")])
        #expect(error.description == "serverError: the store answered with an error")
        #expect(error.debugDescription.contains("key abc is bad"))
        #expect(error.debugDescription.contains("h:1: r"))
    }

    @Test func anUnknownOutcomeIsNoPlainFailure() throws {
        let plain = TiKVError(.deadlineExceeded, "no answer")
        #expect(plain.isRetryable && !plain.isOutcomeUnknown)
        let unknown = plain.withUnknownOutcome()
        #expect(unknown.code == .undetermined)
        #expect(unknown.isOutcomeUnknown && !unknown.isRetryable)
        let cause = try #require(unknown.cause as? TiKVError)
        #expect(cause.code == .deadlineExceeded)
        #expect(unknown.withUnknownOutcome().cause is TiKVError)
        #expect(unknown.description.contains("may or may not have taken effect"))
    }

    @Test func aCancelledWriteStaysCancelled() {
        let error = TiKVError(.cancelled, "cancelled").withUnknownOutcome()
        #expect(error.code == .cancelled)
        #expect(error.isOutcomeUnknown)
        #expect(error.description.contains("may have taken effect"))
    }

    @Test func partsThatMayHaveHappenedKeepTheCode() {
        let error = TiKVError(.entryTooLarge, "too large").withPartialEffect()
        #expect(error.code == .entryTooLarge)
        #expect(error.isOutcomeUnknown && !error.isRetryable)
    }

    @Test func retryableCodes() {
        let retryable: [TiKVError.Code] = [
            .deadlineExceeded, .pdUnreachable, .regionUnavailable, .storeUnreachable, .serverIsBusy, .diskFull,
            .recoveryInProgress,
        ]
        for code in retryable { #expect(TiKVError(code, "").isRetryable, "\(code)") }
        let final: [TiKVError.Code] = [
            .invalidArgument, .cancelled, .undetermined, .clusterIDMismatch, .entryTooLarge, .unsupported, .serverError,
            .clientClosed, .clientNotRunning, .clientAlreadyRunning, .internalError, .flashbackInProgress,
        ]
        for code in final { #expect(!TiKVError(code, "").isRetryable, "\(code)") }
    }
}
