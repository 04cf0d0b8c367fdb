// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVTransport

@testable import TiKV

/// What applies where nobody says anything, and that what is said arrives.
@Suite struct ConfigurationDefaultsTests {
    @Test func connectionsByDefault() {
        let connection = ClientConfiguration.Connection()
        #expect(connection.connectionsPerStore == 4)
        let transport = connection.forTransport
        #expect(transport.connectTimeout == .seconds(5))
        #expect(transport.keepAliveInterval == .seconds(10) && transport.keepAliveTimeout == .seconds(3))
        #expect(transport.keepAliveWithoutCalls)
        #expect(transport.idleTimeout == .seconds(180))
        #expect(transport.compression == .none)
        #expect(transport.http2.streamWindow == 1 << 27 && transport.http2.connectionWindow == 1 << 27)
        #expect(transport.maxReceiveMessageSize == 1 << 30)
        #expect(transport.batch?.maxBatchSize == 128 && transport.batch?.maxInFlight == .max)
        #expect(transport.batch?.policy == .basic)
        #expect(transport.batch?.overload.threshold == 200)
        #expect(transport.batch?.overload.wait == .zero && transport.batch?.overload.commands == 8)
    }

    @Test func whatIsSetForConnectionsArrives() {
        var connection = ClientConfiguration.Connection()
        connection.keepAliveInterval = .seconds(7)
        connection.keepAliveTimeout = .milliseconds(1)
        connection.idleTimeout = nil
        connection.streamWindow = 1 << 20
        connection.connectionWindow = 1 << 21
        connection.batchPolicy = .standard
        connection.overloadThreshold = 300
        connection.overloadWait = .milliseconds(2)
        connection.overloadBatchSize = 5
        connection.maximumInFlight = 9
        let transport = connection.forTransport
        #expect(transport.keepAliveInterval == .seconds(7))
        // Never shorter than that.
        #expect(transport.keepAliveTimeout == .milliseconds(50))
        #expect(transport.idleTimeout == nil)
        #expect(transport.http2.streamWindow == 1 << 20 && transport.http2.connectionWindow == 1 << 21)
        #expect(transport.batch?.policy == .standard)
        #expect(transport.batch?.overload.threshold == 300)
        #expect(transport.batch?.overload.wait == .milliseconds(2) && transport.batch?.overload.commands == 5)
        #expect(transport.batch?.maxInFlight == 9)
        connection.maximumBatchSize = 0
        #expect(connection.forTransport.batch == nil)
    }

    @Test func callsAndCacheByDefault() {
        let configuration = ClientConfiguration()
        #expect(configuration.requestTimeout == .seconds(20))
        #expect(configuration.raw.batchKeyLimit == 512)
        #expect(configuration.raw.batchPutSizeLimit == 16 * 1024)
        #expect(configuration.regionCache.timeToLive == .seconds(600))
        #expect(configuration.regionCache.timeToLiveJitter == .seconds(60))
        #expect(!configuration.routing.isForwardingEnabled)
    }
}
