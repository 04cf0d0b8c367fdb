// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
internal import Synchronization

/// Where connections get their TLS context from. Files of certificates and keys are read again when they have changed,
/// so that certificates can be renewed without a restart and without dropping a connection: those that are up keep the
/// context that they began with.
///
/// One source serves any number of connections, pools and event loops; sharing one is what lets sessions be resumed.
package final class TLSContextSource: Sendable {
    private struct State {
        var context: TLSContext
        /// As the files were just before they were last read, well or not.
        var stamps: [TLSFile.Stamp?]
    }

    package let role: TLSRole
    package let configuration: TLSConfiguration
    private let paths: [String]
    private let logger: Logger
    private let state: Mutex<State>

    /// Reads everything once, so that a mistake shows here and not at the first connection.
    ///
    /// - Throws: `configuration`, with the file or setting that is wrong.
    package init(_ configuration: TLSConfiguration, _ role: TLSRole, logger: Logger) throws(TLSError) {
        let paths = Self.paths(configuration)
        let stamps = paths.map { TLSFile.stamp($0) }
        self.role = role
        self.configuration = configuration
        self.paths = paths
        self.logger = logger
        self.state = Mutex(State(context: try TLSContext(configuration, role), stamps: stamps))
    }

    /// The context for a new connection. Looks at the files first, which is a system call for each; only where one has
    /// changed are they read. Where what is read is of no use (a half-written file, a key of another certificate), the
    /// last good context goes on, and the files are not read again until they change once more.
    package func current() -> TLSContext {
        self.state.withLock { state in
            let stamps = self.paths.map { TLSFile.stamp($0) }
            guard stamps != state.stamps else { return state.context }
            // Taken before reading: what changes while it is read is read again next time.
            state.stamps = stamps
            do throws(TLSError) {
                state.context = try TLSContext(self.configuration, self.role)
                self.logger.info("TLS certificates were read again", metadata: ["files": "\(self.paths)"])
            } catch {
                self.logger.warning(
                    "TLS certificates changed but cannot be used; the previous ones stay",
                    metadata: ["reason": "\(error.message)"])
            }
            return state.context
        }
    }

    private static func paths(_ configuration: TLSConfiguration) -> [String] {
        var sources = [configuration.identity?.certificateChain, configuration.identity?.privateKey]
        if case .pem(let roots) = configuration.trustRoots { sources.append(roots) }
        return sources.compactMap { source in
            guard case .file(let path)? = source else { return nil }
            return path
        }
    }
}
