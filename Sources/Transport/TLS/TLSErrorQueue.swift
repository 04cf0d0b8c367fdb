// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL

/// OpenSSL's queue of errors, one per thread: emptied before each call, so that what is in it afterwards belongs to
/// that call.
@safe enum TLSErrorQueue {
    struct Entry: Equatable {
        /// `ERR_LIB_…`
        var library: Int32
        /// `SSL_R_…` and its like.
        var reason: Int32
        var text: String

        /// The alert that the peer sent, where the error is one.
        var alert: Int32? {
            guard self.library == ERR_LIB_SSL, (1000..<1256).contains(self.reason) else { return nil }
            return self.reason - 1000
        }
    }

    static func clear() {
        ERR_clear_error()
    }

    /// Takes all that is there; the first is where the trouble began.
    static func take() -> [Entry] {
        var entries: [Entry] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { return entries }
            // A queue of OpenSSL has 16 places; more would be a queue that never empties.
            guard entries.count < 32 else { return entries }
            let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
            entries.append(
                Entry(
                    library: ERR_GET_LIB(code), reason: ERR_GET_REASON(code),
                    text: text ?? "error \(code)"))
        }
    }

    /// The same in one line.
    static func takeText() -> String {
        let texts = Self.take().map(\.text)
        return texts.isEmpty ? "no reason given" : texts.joined(separator: "; ")
    }
}
