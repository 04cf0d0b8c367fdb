// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How far PD has come with splitting regions.
package struct SplitProgress: Sendable, Hashable {
    /// How many of the splits are done, in percent.
    package var finishedPercentage: Int
    /// The regions that came of them.
    package var regionIDs: [UInt64]
}

/// How far PD has come with scattering regions. The regions themselves move after that; see `operatorState`.
package struct ScatterProgress: Sendable, Hashable {
    /// How many of the regions PD has taken on, in percent.
    package var finishedPercentage: Int
    /// Those that it has not.
    package var failedRegionIDs: [UInt64]
}

/// What PD is doing to a region, or did last.
package struct RegionOperator: Sendable, Hashable {
    package enum Status: Sendable {
        case success
        case timeout
        case cancelled
        case replaced
        case running
    }

    package var regionID: UInt64
    package var status: Status
    /// What it is for, `scatter-region` for one.
    package var description: String
    /// What it changes, `leader` or `region`.
    package var kind: String
}
