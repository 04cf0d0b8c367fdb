// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVTransport

@testable import TiKV

@Suite struct TransportErrorReactionTests {
    private func reaction(
        _ code: RPCError.Code, _ delivery: RPCError.Delivery, passed: Bool = false
    ) -> TransportErrorReaction {
        TransportErrorReaction(RPCError(code, "", delivery: delivery), hasDeadlinePassed: passed)
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
        #expect(code(self.reaction(.resourceExhausted, .answered)) == .entryTooLarge)
        #expect(code(self.reaction(.invalidArgument, .answered)) == .serverError)
        #expect(code(self.reaction(.unauthenticated, .answered)) == .serverError)
    }

    @Test func onlyWhatSurelyDidNotHappenIsKnown() {
        func isUnknown(_ code: RPCError.Code, _ delivery: RPCError.Delivery) -> Bool {
            TransportErrorReaction.isOutcomeUnknown(RPCError(code, "", delivery: delivery))
        }
        #expect(!isUnknown(.unavailable, .notSent))
        #expect(isUnknown(.unavailable, .unknown))
        #expect(isUnknown(.deadlineExceeded, .unknown))
        #expect(isUnknown(.cancelled, .unknown))
        #expect(isUnknown(.unavailable, .answered))
        #expect(isUnknown(.unknown, .answered))
        #expect(!isUnknown(.unimplemented, .answered))
        #expect(!isUnknown(.resourceExhausted, .answered))
    }
}
