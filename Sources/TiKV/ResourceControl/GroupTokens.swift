// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// One resource group as a client lives it: the tokens that it has of PD, what was used, and when to ask for more. Pure.
struct GroupTokens: Sendable {
    /// How often what was used is reported, and for how long tokens are asked.
    static let targetPeriod = Duration.seconds(5)
    /// How much later at most, where hardly anything was used.
    static let longestPeriod = Duration.seconds(20)
    /// Units whose use is worth a report after the period.
    static let worthwhile = 100.0
    /// Below this part of what the group needs in a period more is asked for at once.
    static let lowPart = 0.1
    /// After this time without use a group is forgotten.
    static let idleTime = Duration.seconds(300)
    /// After this time without an answer PD is asked again.
    static let answerTimeout = Duration.seconds(3)

    let group: ResourceGroup
    private(set) var bucket: TokenBucket
    /// All that was used so far.
    private(set) var used = Consumption()
    private var reported = Consumption()
    /// What of a report that is under way was used before it.
    private var reporting: Consumption?
    private(set) var lastUse: ContinuousClock.Instant
    private var lastRequest: ContinuousClock.Instant?
    private var hasAnswer = false
    private var threshold: Double
    /// Units a second, of late.
    private var average = 0.0
    private var averaged: (units: Double, at: ContinuousClock.Instant)
    /// Tokens that are still to come in from a grant over some time.
    private var trickle: (rate: Double, until: ContinuousClock.Instant)?
    /// What each store has heard of.
    private var told: [UInt64: Consumption] = [:]

    init(_ group: ResourceGroup, now: ContinuousClock.Instant) {
        self.group = group
        let rate = Double(group.requestUnits.fillRate)
        // Something to begin with, until PD has answered.
        self.bucket = TokenBucket(
            tokens: rate, fillRate: 0, burstLimit: min(0, group.requestUnits.burstLimit), now: now)
        self.lastUse = now
        self.threshold = max(rate * 0.8, 1)
        self.averaged = (0, now)
    }

    /// Whether more tokens are needed soon.
    func isLow(at now: ContinuousClock.Instant) -> Bool {
        !self.bucket.isUnlimited && self.bucket.available(at: now) < self.threshold
    }

    // MARK: - Requests

    /// Takes tokens for a request.
    mutating func reserve(
        _ consumption: Consumption, at now: ContinuousClock.Instant, atMost limit: Duration
    ) -> TokenBucket.Reservation {
        self.lastUse = now
        let reservation = self.bucket.reserve(consumption.units, at: now, atMost: limit)
        if case .taken = reservation { self.used.add(consumption) }
        return reservation
    }

    /// Charges what an answer has cost on top, or pays back.
    mutating func settle(_ consumption: Consumption, at now: ContinuousClock.Instant) {
        self.bucket.charge(consumption.units, at: now)
        self.used.add(consumption)
    }

    /// What the group has used of other stores since this one was asked last, by which that one limits it.
    ///
    /// - Parameter own: what was just taken for the request that goes there.
    mutating func penalty(store id: UInt64, own: Consumption) -> Consumption {
        var penalty = Consumption()
        if let told = self.told[id] {
            penalty = self.used
            penalty.subtract(own)
            penalty.subtract(told)
        }
        self.told[id] = self.used
        return penalty.withoutDebts
    }

    // MARK: - PD

    /// What to ask of PD now; nil where nothing is due.
    mutating func takeRequest(at now: ContinuousClock.Instant) -> TokenRequest? {
        let elapsed = self.lastRequest.map { $0.duration(to: now) }
        if self.reporting != nil {
            guard let elapsed, elapsed >= Self.answerTimeout else { return nil }
            // The answer is lost, and so may be the report; counting it twice would be worse than not at all.
            self.reporting = nil
        }
        var delta = self.used
        delta.subtract(self.reported)
        let isDue: Bool
        if let elapsed, self.hasAnswer {
            isDue =
                self.isLow(at: now) && elapsed >= .milliseconds(100)
                || elapsed >= Self.targetPeriod && delta.units >= Self.worthwhile
                || elapsed >= Self.longestPeriod
        } else {
            isDue = elapsed.map { $0 >= .seconds(1) } ?? true
        }
        guard isDue else { return nil }
        self.updateAverage(now)
        let wanted = self.average * (Self.targetPeriod / .seconds(1)) - self.bucket.available(at: now)
        self.reported = self.used
        self.reporting = self.used
        self.lastRequest = now
        return TokenRequest(group: self.group.name, units: max(0, wanted), consumption: delta.withoutDebts)
    }

    /// PD has answered.
    mutating func received(_ grant: TokenGrant, at now: ContinuousClock.Instant) {
        self.reporting = nil
        self.hasAnswer = true
        var granted = grant.tokens.tokens
        if let trickle = self.trickle, trickle.until > now {
            // What had not come in yet comes with the rest.
            granted += trickle.rate * (now.duration(to: trickle.until) / .seconds(1))
        }
        let seconds = grant.trickleTime / .seconds(1)
        let burst = grant.tokens.burstLimit
        if seconds <= 0 {
            self.trickle = nil
            self.bucket.refill(
                burst < 0 ? Double(self.group.requestUnits.fillRate) : granted, fillRate: 0,
                burstLimit: min(0, burst), at: now)
            let needed = self.average * (Self.targetPeriod / .seconds(1))
            self.threshold = max(1, min(self.bucket.available(at: now), needed) * Self.lowPart)
        } else {
            let rate = granted / seconds
            self.trickle = (rate, now.advanced(by: grant.trickleTime))
            self.bucket.refill(0, fillRate: rate, burstLimit: min(0, burst), at: now)
            // More is asked for before these have all come in, by the period and not by what is left.
            self.threshold = -.infinity
        }
    }

    /// PD did not answer: the next request asks anew.
    mutating func failed() {
        self.reporting = nil
    }

    /// Ends a grant whose time is over, so that nothing comes in that PD did not give.
    mutating func tick(at now: ContinuousClock.Instant) {
        guard let trickle = self.trickle, trickle.until <= now else { return }
        self.trickle = nil
        let late = trickle.until.duration(to: now) / .seconds(1)
        self.bucket.refill(-trickle.rate * late, fillRate: 0, burstLimit: self.bucket.burstLimit, at: now)
        self.threshold = 1
    }

    private mutating func updateAverage(_ now: ContinuousClock.Instant) {
        let seconds = self.averaged.at.duration(to: now) / .seconds(1)
        guard seconds > 0 else { return }
        let current = (self.used.units - self.averaged.units) / seconds
        // Weighs the last as much as all before.
        self.average = 0.5 * self.average + 0.5 * max(0, current)
        self.averaged = (self.used.units, now)
    }
}

extension Consumption {
    /// Units, of reads and writes.
    var units: Double { self.readUnits + self.writeUnits }

    mutating func add(_ other: Consumption) { self.combine(other, +) }

    mutating func subtract(_ other: Consumption) { self.combine(other, -) }

    /// Nothing below 0, as what is paid back may be before it is charged.
    var withoutDebts: Consumption {
        var consumption = self
        consumption.combine(Consumption(), max)
        return consumption
    }

    private mutating func combine(_ other: Consumption, _ operation: (Double, Double) -> Double) {
        self.readUnits = operation(self.readUnits, other.readUnits)
        self.writeUnits = operation(self.writeUnits, other.writeUnits)
        self.readBytes = operation(self.readBytes, other.readBytes)
        self.writeBytes = operation(self.writeBytes, other.writeBytes)
        self.processorMilliseconds = operation(self.processorMilliseconds, other.processorMilliseconds)
        self.readRequests = operation(self.readRequests, other.readRequests)
        self.writeRequests = operation(self.writeRequests, other.writeRequests)
    }
}
