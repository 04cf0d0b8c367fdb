// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a handler is told about the call that it answers.
package struct ServerCall: Sendable {
    /// Such as `/tikvpb.Tikv/RawGet`.
    package let path: String
    /// The request's custom metadata.
    package let metadata: Metadata
    /// The client's address.
    package let peer: String
    /// Time that the client gave the call when it started; nil where it gave none.
    package let timeLimit: Duration?
    let connection: ServerConnection

    /// Closes the connection that the call came on, at once and with all its calls; their handlers are cancelled.
    package func closeConnection() {
        self.connection.close()
    }
}
