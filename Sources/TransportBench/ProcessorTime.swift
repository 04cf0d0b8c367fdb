// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The processor time that this process has used, all threads together, in user space and in the kernel.
enum ProcessorTime {
    static func now() -> Duration {
        var usage = rusage()
        // Fails for a wrong first argument only.
        #if canImport(Glibc)
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #else
        getrusage(RUSAGE_SELF, &usage)
        #endif
        let times = [usage.ru_utime, usage.ru_stime]
        return times.reduce(.zero) { $0 + .seconds(Int($1.tv_sec)) + .microseconds(Int($1.tv_usec)) }
    }
}
