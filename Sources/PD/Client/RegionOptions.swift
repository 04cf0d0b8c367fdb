// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a question for regions asks for beside the regions themselves.
package struct RegionOptions: Sendable, Hashable {
    /// The buckets of each region, where PD knows them.
    package var needBuckets: Bool
    /// Whether a follower of PD may answer, whose knowledge may be a little old. It has an effect only where the client's
    /// configuration allows it too.
    package var allowFollower: Bool
    /// Whether a gap in what PD knows of the range is an error, so that the question is asked again.
    package var containAllKeyRange: Bool

    package init(needBuckets: Bool = false, allowFollower: Bool = false, containAllKeyRange: Bool = false) {
        self.needBuckets = needBuckets
        self.allowFollower = allowFollower
        self.containAllKeyRange = containAllKeyRange
    }
}
