// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

extension Failpoint {
    /// Where the hook is and what it can do, for docs/failpoints.md.
    package var summary: String {
        switch self {
        case .beforePrewrite: "Before the first prewrite is sent."
        case .prewritePrimary: "After the batch of the primary is prewritten."
        case .prewriteSecondary: "Before a batch without the primary is prewritten."
        case .prewritePrimaryFail: "Prewriting the batch of the primary fails."
        case .prewriteSecondaryFail: "Prewriting a batch without the primary fails."
        case .prewriteBatchSizeLimit: "`return(bytes)`: how large a batch of mutations may be; with 1 each has one key."
        case .prewriteShortLockTTL: "`return`: prewritten locks live for 1 ms."
        case .prewriteZeroCommitTS: "`return(start timestamp)`: the transaction sends no least commit timestamp."
        case .prewriteInvalidMaxCommitTS: "`return`: the largest commit timestamp is below the least."
        case .assertionSkipCheckFromPrewrite: "`return`: assertions are not sent with prewrites."
        case .assertionSkipCheckFromLock: "`return`: assertions are not checked against what locking has read."
        case .minCommitTSFromTSO: "Before the least commit timestamp is fetched for an async commit."
        case .beforeCommit: "Before the primary is committed. `return(\"fail\")` fails there."
        case .commitError: "`return(true)`: committing fails before anything is sent."
        case .afterPrimaryBatch:
            "After the batch of the primary is committed, before the caller is told and the others are."
        case .beforeCommitSecondaries: "Before secondaries are committed. `return(\"skip\")` leaves them locked."
        case .asyncCommitDoNothing: "`return`: an async commit leaves all its locks behind."
        case .commitFailedSkipCleanup: "`return`: a commit that failed leaves its locks behind."
        case .failCheckSchemaValid: "`return`: the application's check before the commit fails."
        case .doNotKeepAlive: "`return`: the primary lock is not kept alive."
        case .onRollback: "At a rollback. `return(\"skipRollbackPessimisticLock\")` leaves the pessimistic locks."
        case .beforePessimisticLock: "Before pessimistic locks are asked for."
        case .pessimisticLockErrWriteConflict: "`return`: asking for pessimistic locks fails with a write conflict."
        case .pessimisticLockShortTTL: "`return`: pessimistic locks live for 1 ms."
        case .pessimisticRollbackSkip: "`return`: pessimistic rollbacks are not sent."
        case .beforeAsyncPessimisticRollback:
            "Before locks of a failed statement are rolled back. `return(\"skip\")` leaves them."
        case .deadlockRetrySleep: "Before a single statement is tried again after a deadlock."
        case .beforePipelinedFlush: "Before a flush of a pipelined transaction."
        case .pipelinedMemDBMinFlushKeys: "`return(number)`: from how many keys on there is a flush."
        case .pipelinedMemDBMinFlushSize: "`return(bytes)`: from what size on there is a flush."
        case .pipelinedMemDBForceFlushSizeThreshold: "`return(bytes)`: at what size writing waits for the flush."
        case .pipelinedCommitFail: "`return`: committing a pipelined transaction fails."
        case .pipelinedSkipResolveLock: "`return`: a pipelined transaction leaves its secondaries locked."
        case .beforeSendPointGet: "Before a point get is sent."
        case .snapshotGetCacheFail: "`return(true)`: reading a key that the cache of the snapshot does not have fails."
        case .snapshotZeroCommitTS:
            "`return`: reads that ask for commit timestamps find values without one, in the cache too."
        case .readTimestampBeforeReturn: "After the current timestamp was fetched to check one that a read was given."
        case .readTimestampRetry: "Before that is fetched once more. `return(\"skip\")` leaves it at that."
        case .tryResolveLock: "Before the resolver looks at locks."
        case .resolveLock: "Before a lock is resolved."
        case .resolveAsyncResolveData: "Before the locks of an async commit are resolved."
        case .resolveAsyncCommitLockReturn: "`return`: the locks of an async commit are left as they are."
        case .txnStatusDelay: "Before the status of a transaction is asked for."
        case .txnNotFoundReturnsTTL: "`return`: a transaction that is not found is taken to be alive."
        case .txnExpiredReturnsTTL: "`return`: a transaction that is not found and has expired is an error."
        case .beforeSendRequest: "Before a request is sent to a region."
        case .requestFailsOnSend: "`return`: a request to a store fails before it is sent."
        case .requestFailsOnReceive: "`return`: the answer of a store is lost."
        case .requestCancelled: "`return(true)`: the answer of a store comes as a cancellation."
        case .requestNoRetry: "`return(true)`: a request that failed on its way is not tried again."
        case .rpcPrewriteResult: "`return(kind)`: what a prewrite is answered with."
        case .rpcCommitResult: "`return(kind)`: what a commit is answered with."
        case .rpcBatchGetResult: "`return(kind)`: what a batch get is answered with."
        case .rpcScanResult: "`return(kind)`: what a scan is answered with."
        case .retryRequestToRegion: "`return(true)`: a request is routed and sent once more."
        case .invalidateRegionAndRetry: "Before a request is tried again after its region was forgotten."
        case .batchCommandsReceiveError: "`return`: a stream of batched commands breaks."
        case .batchCommandsQueueFull: "`return`: the queue of a stream of batched commands is full."
        case .backoffSkipsSleep: "`return`: waits between attempts are counted and not waited."
        case .storeLiveness: "`return(liveness)`: what a probe of a store says."
        case .storeReresolveInterval: "`return(duration)`: how often the addresses of stores are asked for anew."
        case .storeHealthCheckSkip: "`return`: stores are not probed until they are well again."
        case .slowScoreFromFeedback: "`return(score)`: the slow score that a store reports."
        case .splitRegionNotReported: "`return`: PD does not know of a new region yet."
        case .scanRegionsUnimplemented: "`return`: PD cannot scan several ranges of regions at once."
        case .timestampError: "`return(true)`: fetching a timestamp fails."
        case .minResolvedTS: "`return(timestamp)`: what PD says is resolved in the cluster."
        case .safeTSUpdaterFast: "`return`: safe timestamps are fetched at short intervals."
        case .txnScope: "`return(scope)`: the scope of transactions."
        }
    }

    /// The contents of docs/failpoints.md.
    package static var documentation: String {
        var text = """
            # Failpoints

            Made from `Sources/Failpoints`; a test compares the two. To write it anew:
            `TIKV_WRITE_DOCS=1 swift test -Xswiftc -DFAILPOINTS --scratch-path .build-failpoints --filter DocumentationTests`.

            Named places where a test makes the client fail, wait or take another way. They exist in builds with
            `-Xswiftc -DFAILPOINTS` only; in all others a call to one is empty. A name in the table need not have a hook yet.

            A test sets them for the length of a closure, for its own task and the tasks made there:

            ```swift
            try await FailpointScope.withActive([.beforeCommit: "pause"]) { scope in
                async let commit: Void = transaction.commit()
                try await scope.waitForHits(.beforeCommit)
                // …
                scope.resume(.beforeCommit)
                try await commit
            }
            ```

            The environment variable `TIKV_FAILPOINTS` sets them for a whole process, as `name=action;name=action`.

            An action is one of these; several with `->` between them happen one after the other:

            | action | what happens |
            |---|---|
            | `off` | nothing |
            | `return`, `return(value)` | the place takes the value, with or without quotation marks, in place of its own |
            | `sleep(milliseconds)` | the task waits |
            | `pause` | the task waits until the test lets it go on |
            | `panic`, `panic(message)` | an error is thrown |
            | `print`, `print(message)` | a line is printed |
            | `3*action` | three times at most; then the next action of the chain |
            | `50%action` | with this probability; otherwise the next action of the chain |

            | failpoint | where it is, and what it does |
            |---|---|

            """
        for failpoint in Self.allCases { text += "| `\(failpoint)` | \(failpoint.summary) |\n" }
        return text
    }
}

#endif
