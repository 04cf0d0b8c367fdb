// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The load generator of the transport alone, without PD, regions and stores: what `make bench` holds beside other gRPC and
/// HTTP/2 clients. A target of the package, and no product, since the transport is not public.
@main
struct TransportBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transport-bench",
        abstract: "Measure the client's transport against its server role.",
        subcommands: [ServeCommand.self, LoadCommand.self]
    )
}
