// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// What request units are made of: prices in units, of the first version, as PD sets them unless told otherwise.
struct RequestUnitPrices: Sendable, Hashable {
    /// The part of a batch that a request is on average, for which the price of a batch is charged.
    private static let batchPart = 0.7

    var readBase = 0.125
    var readBatch = 0.5
    var writeBase = 1.0
    var writeBatch = 1.0
    var readByte = 1.0 / 65_536
    var writeByte = 1.0 / 1024
    var processorMillisecond = 1.0 / 3

    /// What is charged before a request is sent.
    func before(_ request: RequestCost) -> Consumption {
        var consumption = Consumption()
        if request.isWrite {
            consumption.writeRequests = 1
            consumption.writeBytes = Double(request.writeBytes)
            let one = self.writeBase + self.writeBatch * Self.batchPart + self.writeByte * Double(request.writeBytes)
            consumption.writeUnits = one * Double(max(1, request.replicas))
        } else {
            consumption.readRequests = 1
            consumption.readUnits = self.readBase + self.readBatch * Self.batchPart + self.predicted(request)
        }
        return consumption
    }

    /// What is charged on top of that for an answer; less than nothing where too much was charged.
    func after(_ request: RequestCost, _ response: ResponseCost) -> Consumption {
        var consumption = Consumption()
        if !request.isWrite {
            let milliseconds = response.processorTime / .milliseconds(1)
            consumption.processorMilliseconds = milliseconds
            consumption.readUnits = self.processorMillisecond * milliseconds - self.predicted(request)
        } else if !response.isSuccess {
            // What was not written is paid back, but not the work of finding that out.
            consumption.writeBytes = -Double(request.writeBytes)
            consumption.writeUnits = -(self.writeBase + self.writeByte * Double(request.writeBytes))
        }
        // A write may read too.
        consumption.readBytes = Double(response.readBytes)
        consumption.readUnits += self.readByte * Double(response.readBytes)
        return consumption
    }

    /// Requests to the coprocessor pay for what they are expected to read, and get it back when it is known.
    private func predicted(_ request: RequestCost) -> Double {
        guard request.isCoprocessor, !request.isWrite else { return 0 }
        return self.readByte * Double(request.predictedReadBytes)
    }
}
