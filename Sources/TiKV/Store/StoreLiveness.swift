// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Whether a store answers, as far as known.
enum StoreLiveness: UInt8, Sendable {
    /// It answered, or nothing says that it doesn't.
    case reachable
    /// It answered to nothing; not asked until a health check finds it again.
    case unreachable
    /// It answered, and said that it does not serve.
    case unknown
}

/// How much is known of a store's place.
enum StoreResolveState: UInt8, Sendable {
    /// PD was not asked yet.
    case unresolved
    /// As PD said.
    case resolved
    /// Something went wrong there: PD is to be asked again, and what is known is used until it has answered.
    case needsCheck
    /// PD says that it is gone for good.
    case tombstone
    /// PD does not know it.
    case unknownToPD

    /// Whether no request may go there any more.
    var isGone: Bool { self == .tombstone || self == .unknownToPD }
}
