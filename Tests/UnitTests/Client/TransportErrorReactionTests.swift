// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVTransport

@testable import TiKV

@Suite struct TransportErrorReactionTests {
    private func reaction(
        _ code: RPCError.Code, _ delivery: RPCError.Delivery, _ message: String = "", passed: Bool = false
    ) -> TransportErrorReaction {
        TransportErrorReaction(RPCError(code, message, delivery: delivery), hasDeadlinePassed: passed)
    }

    @Test func brokenConnectionsGoToTheNextPeer() {
        #expect(self.reaction(.unavailable, .notSent) == .tryNextPeer(isAddressSuspect: true))
        #expect(self.reaction(.unavailable, .unknown) == .tryNextPeer(isAddressSuspect: false))
        #expect(self.reaction(.unavailable, .answered) == .tryNextPeer(isAddressSuspect: false))
        #expect(self.reaction(.cancelled, .unknown) == .tryNextPeer(isAddressSuspect: false))
        #expect(self.reaction(.internalError, .answered) == .tryNextPeer(isAddressSuspect: false))
    }

    @Test func theCallsOwnDeadlineEndsIt() {
        #expect(self.reaction(.deadlineExceeded, .unknown, passed: true) == .expired)
        #expect(self.reaction(.deadlineExceeded, .answered) == .tryNextPeer(isAddressSuspect: false))
    }

    @Test func refusalsAreFinal() {
        func code(_ reaction: TransportErrorReaction) -> TiKVError.Code? {
            if case .fail(let code, _) = reaction { code } else { nil }
        }
        #expect(code(self.reaction(.unimplemented, .answered)) == .unsupported)
        #expect(code(self.reaction(.invalidArgument, .answered)) == .serverError)
        #expect(code(self.reaction(.unauthenticated, .answered)) == .serverError)
    }

    @Test(
        arguments: [
            (.notSent, "RawPutRequest of 9 bytes is over the limit of 8 bytes"),
            (.unknown, "a message of 9 bytes is over the limit of 8 bytes"),
            (.answered, "a message of 9 bytes is over the limit of 8 bytes"),
            (.answered, "Received message larger than max (9 vs. 8)"),
            (.answered, "CLIENT: Sent message larger than max (9 vs. 8)"),
        ] as [(RPCError.Delivery, String)])
    func aMessageThatIsTooLargeStaysSo(delivery: RPCError.Delivery, message: String) {
        guard case .fail(.entryTooLarge, _) = self.reaction(.resourceExhausted, delivery, message) else {
            Issue.record("must not be tried again")
            return
        }
    }

    @Test func aServerShortOfResourcesIsGivenTime() {
        #expect(self.reaction(.resourceExhausted, .answered, "memory quota") == .retry(.serverBusy))
        #expect(
            self.reaction(.resourceExhausted, .unknown, "the peer reset the stream: enhanceYourCalm")
                == .retry(.serverBusy))
    }

    @Test func onlyWhatSurelyDidNotHappenIsKnown() {
        func isUnknown(_ code: RPCError.Code, _ delivery: RPCError.Delivery, _ message: String = "") -> Bool {
            TransportErrorReaction.isOutcomeUnknown(RPCError(code, message, delivery: delivery))
        }
        #expect(!isUnknown(.unavailable, .notSent))
        #expect(isUnknown(.unavailable, .unknown))
        #expect(isUnknown(.deadlineExceeded, .unknown))
        #expect(isUnknown(.cancelled, .unknown))
        #expect(isUnknown(.unavailable, .answered))
        #expect(isUnknown(.unknown, .answered))
        #expect(!isUnknown(.unimplemented, .answered))
        #expect(!isUnknown(.resourceExhausted, .answered, "Received message larger than max (9 vs. 8)"))
        #expect(!isUnknown(.resourceExhausted, .notSent))
        #expect(isUnknown(.resourceExhausted, .answered))
        #expect(isUnknown(.resourceExhausted, .answered, "Sent message larger than max (9 vs. 8)"))
        #expect(isUnknown(.resourceExhausted, .unknown))
    }
}
