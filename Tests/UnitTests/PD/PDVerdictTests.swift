// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto
import TiKVTransport

@testable import TiKVPD

@Suite struct PDVerdictTests {
    private func verdict(_ type: Pdpb_ErrorType, _ message: String = "", clusterID: UInt64 = 1) -> String {
        var header = Pdpb_ResponseHeader()
        header.clusterID = clusterID
        header.error.type = type
        header.error.message = message
        return self.name(PDVerdict(header, expectedClusterID: 1))
    }

    private func verdict(
        _ code: RPCError.Code, _ message: String = "", delivery: RPCError.Delivery = .answered, cancelled: Bool = false
    ) -> String {
        self.name(PDVerdict(RPCError(code, message, delivery: delivery), isCancelled: cancelled))
    }

    private func name(_ verdict: PDVerdict) -> String {
        switch verdict {
        case .answered: "answered"
        case .notFound: "notFound"
        case .leaderLost(let reason, _): "leaderLost \(reason)"
        case .later: "later"
        case .fail(let error): "fail \(error.code)"
        }
    }

    @Test func readsHeaders() {
        var header = Pdpb_ResponseHeader()
        header.clusterID = 1
        #expect(self.name(PDVerdict(header, expectedClusterID: 1)) == "answered")
        #expect(self.verdict(.ok) == "answered")
        #expect(self.verdict(.regionNotFound) == "notFound")
        #expect(self.verdict(.notBootstrapped) == "later")
        #expect(self.verdict(.unknown, "PD is Not Leader") == "leaderLost not the leader")
        #expect(self.verdict(.unknown, "no leader") == "leaderLost not the leader")
        #expect(self.verdict(.unknown, "key abc is odd") == "fail server")
        #expect(self.verdict(.incompatibleVersion) == "fail server")
        #expect(self.verdict(.ok, clusterID: 2) == "fail clusterIDMismatch(expected: 1, actual: 2)")
    }

    @Test func readsStatuses() {
        #expect(self.verdict(.unavailable, "not leader") == "leaderLost not the leader")
        #expect(
            self.verdict(.unavailable, "connection refused", delivery: .notSent)
                == "leaderLost unavailable: connection refused")
        #expect(self.verdict(.unavailable, "about key abc") == "leaderLost unavailable")
        #expect(self.verdict(.deadlineExceeded) == "leaderLost deadlineExceeded")
        #expect(self.verdict(.failedPrecondition, "mismatch cluster id") == "leaderLost failedPrecondition")
        #expect(self.verdict(.unimplemented) == "fail unimplemented")
        #expect(self.verdict(RPCError.Code.unknown, "invalid store ID 9, not found") == "notFound")
        #expect(self.verdict(.permissionDenied) == "fail server")
        #expect(self.verdict(.cancelled, cancelled: true) == "fail cancelled")
        #expect(self.verdict(.cancelled) == "leaderLost cancelled")
    }
}
