// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The processor time that this process has used, all threads together.
struct ProcessorTime {
    var user: Duration
    var system: Duration

    var total: Duration { self.user + self.system }

    static func now() -> Self {
        var usage = rusage()
        // Fails for a wrong first argument only.
        _ = getrusage(RUSAGE_SELF, &usage)
        return Self(user: Self.duration(usage.ru_utime), system: Self.duration(usage.ru_stime))
    }

    static func - (left: Self, right: Self) -> Self {
        Self(user: left.user - right.user, system: left.system - right.system)
    }

    private static func duration(_ time: timeval) -> Duration {
        .seconds(Int(time.tv_sec)) + .microseconds(Int(time.tv_usec))
    }
}
