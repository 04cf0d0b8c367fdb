// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Glibc

// The fuzzer's entry (see docs/testing.md): libFuzzer's own driver, with one function for all parts.
// `transport-fuzz --write-seeds DIRECTORY` writes the first inputs instead.

/// libFuzzer's, linked by `-sanitize=fuzzer`.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ tryInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

@main enum Fuzz {
    static func main() {
        if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--write-seeds" {
            FuzzSeeds.write(to: CommandLine.arguments[2])
            return
        }
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(
            runFuzzer(&count, &arguments) { start, count in
                let input = Array(UnsafeBufferPointer(start: start, count: count))
                let faults = FuzzTarget.run(input)
                guard faults.isEmpty else { fatalError(faults.joined(separator: "\n")) }
                return 0
            })
    }
}
