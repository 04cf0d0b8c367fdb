# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""grpcio against the transactional API: the answers that the Rust client does not come across, field by field."""

import pytest
from txn_support import Transactions, memcomparable


@pytest.fixture
def txns(txn_cluster, proto):
    return Transactions(txn_cluster, proto)


@pytest.fixture
def pb(proto):
    return proto.kvrpcpb_pb2


@pytest.fixture
def key(request):
    """A key of the test's own."""
    return b"a/" + request.node.name.encode()


# --- Values -----------------------------------------------------------------------------------------------------------


def test_get_with_its_commit_timestamp(txns, key):
    start, commit = txns.put(key, b"v")
    found = txns.get(key, commit, need_commit_ts=True)
    assert (found.value, found.commit_ts, found.not_found) == (b"v", commit, False)
    assert found.exec_details_v2.scan_detail_v2.processed_versions == 1
    assert txns.get(key, commit).commit_ts == 0
    assert txns.get(key, start).not_found


def test_batch_get_leaves_absent_keys_out_and_names_locks(txns, key):
    _, commit = txns.put(key, b"v")
    start = txns.timestamp()
    txns.prewrite([key + b"1"], start)
    found = txns.call("KvBatchGet", key, keys=[key, key + b"0", key + b"1"], version=txns.timestamp())
    assert [(pair.key, pair.value) for pair in found.pairs[:1]] == [(key, b"v")]
    assert [pair.error.locked.lock_version for pair in found.pairs[1:]] == [start]


def test_scans(txns, key):
    keys = [key + b"/%d" % index for index in range(5)]
    for one in keys:
        txns.put(one, b"v" + one)
    version = txns.timestamp()

    def scan(**fields):
        fields.setdefault("limit", 100)
        return [pair.key for pair in txns.call("KvScan", key, version=version, **fields).pairs]

    assert scan(start_key=key, end_key=key + b"0") == keys
    assert scan(start_key=keys[1], end_key=keys[3]) == keys[1:3]
    assert scan(start_key=keys[3], end_key=keys[1], reverse=True) == [keys[2], keys[1]]
    assert scan(start_key=key, end_key=key + b"0", limit=2) == keys[:2]
    assert scan(start_key=key, end_key=key + b"0", sample_step=2) == keys[::2]
    only = txns.call("KvScan", key, version=version, start_key=key, end_key=key + b"0", limit=1, key_only=True)
    assert [(pair.key, pair.value) for pair in only.pairs] == [(keys[0], b"")]


# --- Locks in the way -------------------------------------------------------------------------------------------------


def test_lock_in_the_way_of_a_read(txns, pb, key):
    start = txns.timestamp()
    txns.prewrite([key], start, primary=b"a/primary", txn_size=3, lock_ttl=1234, min_commit_ts=start + 1)
    locked = txns.get(key, txns.timestamp()).error.locked
    assert (locked.key, locked.primary_lock, locked.lock_version) == (key, b"a/primary", start)
    assert (locked.lock_ttl, locked.txn_size, locked.lock_type) == (1234, 3, pb.Put)
    assert (locked.min_commit_ts, locked.use_async_commit, locked.lock_for_update_ts) == (start + 1, False, 0)
    # Those who know better pass it.
    assert txns.get(key, txns.timestamp(), resolved_locks=[start]).not_found
    assert txns.get(key, txns.timestamp(), committed_locks=[start]).value == b"v%d" % start
    assert txns.get(key, txns.timestamp(), isolation_level=pb.RC).not_found


def test_write_conflict(txns, pb, key):
    start = txns.timestamp()
    other, commit = txns.put(key, b"v")
    [error] = txns.prewrite([key], start, primary=b"a/p").errors
    conflict = error.conflict
    assert (conflict.start_ts, conflict.conflict_ts, conflict.conflict_commit_ts) == (start, other, commit)
    assert (conflict.key, conflict.primary, conflict.reason) == (key, b"a/p", pb.WriteConflict.Optimistic)
    assert f"WriteConflict {{ start_ts: TimeStamp({start})" in error.retryable


def test_rc_check_ts(txns, pb, key):
    version = txns.timestamp()
    _, commit = txns.put(key, b"v")
    conflict = txns.get(key, version, isolation_level=pb.RCCheckTS).error.conflict
    assert (conflict.conflict_commit_ts, conflict.reason) == (commit, pb.WriteConflict.RcCheckTs)


def test_insert_and_assertions(txns, pb, key):
    start, commit = txns.put(key, b"v")
    [error] = txns.prewrite([key], txns.timestamp(), ops={key: pb.Insert}).errors
    assert error.already_exist.key == key
    mutation = pb.Mutation(op=pb.Put, key=key, value=b"w", assertion=pb.NotExist)
    at = txns.timestamp()
    [error] = txns.call(
        "KvPrewrite", key, mutations=[mutation], primary_lock=key, start_version=at, assertion_level=pb.Strict
    ).errors
    failed = error.assertion_failed
    assert (failed.start_ts, failed.key, failed.assertion) == (at, key, pb.NotExist)
    assert (failed.existing_start_ts, failed.existing_commit_ts) == (start, commit)


# --- Commit -----------------------------------------------------------------------------------------------------------


def test_commit_without_a_lock(txns, key):
    start = txns.timestamp()
    error = txns.commit([key], start, start + 1).error
    assert error.txn_lock_not_found.key == key
    assert "TxnLockNotFound" in error.retryable


def test_commit_below_a_pushed_timestamp(txns, key):
    start = txns.timestamp()
    txns.prewrite([key], start, min_commit_ts=start + 1)
    caller = txns.timestamp()
    answer = txns.status(key, start, caller_start_ts=caller, current_ts=caller)
    assert answer.action == txns.pb.MinCommitTSPushed
    assert (answer.lock_ttl, answer.lock_info.min_commit_ts) == (3000, caller + 1)
    expired = txns.commit([key], start, caller).error.commit_ts_expired
    assert (expired.start_ts, expired.attempted_commit_ts, expired.min_commit_ts) == (start, caller, caller + 1)
    assert expired.key == key


def test_async_commit(txns, key):
    start = txns.timestamp()
    read = txns.timestamp()
    assert txns.get(key, read).not_found
    secondary = key + b"/2"
    primary = txns.prewrite([key], start, use_async_commit=True, secondaries=[secondary])
    assert primary.min_commit_ts > read
    other = txns.prewrite([secondary], start, primary=key, use_async_commit=True)
    locks = txns.call("KvCheckSecondaryLocks", key, keys=[secondary], start_version=start).locks
    assert [(lock.key, lock.use_async_commit) for lock in locks] == [(secondary, True)]
    info = txns.status(key, start).lock_info
    assert list(info.secondaries) == [secondary]
    commit = max(primary.min_commit_ts, other.min_commit_ts)
    assert txns.call(
        "KvResolveLock", key, start_version=start, commit_version=commit, keys=[key, secondary]
    ).ListFields() == []
    assert txns.get(key, commit).value == b"v%d" % start
    assert txns.call("KvCheckSecondaryLocks", key, keys=[secondary], start_version=start).commit_ts == commit


def test_missing_secondary_ends_an_async_commit(txns, key):
    start = txns.timestamp()
    txns.prewrite([key], start, use_async_commit=True, secondaries=[key + b"/2"])
    answer = txns.call("KvCheckSecondaryLocks", key, keys=[key + b"/2"], start_version=start)
    assert (list(answer.locks), answer.commit_ts) == ([], 0)
    [error] = txns.prewrite([key + b"/2"], start, primary=key, use_async_commit=True).errors
    assert error.conflict.reason == txns.pb.WriteConflict.SelfRolledBack


def test_one_phase(txns, key):
    start = txns.timestamp()
    answer = txns.prewrite([key, key + b"/2"], start, try_one_pc=True)
    assert answer.one_pc_commit_ts > start
    assert txns.get(key + b"/2", answer.one_pc_commit_ts).value == b"v%d" % start
    # Too late for the limit: locks are left, to be committed in two phases.
    late = txns.timestamp()
    txns.get(key, txns.timestamp())
    answer = txns.prewrite([key], late, try_one_pc=True, max_commit_ts=late + 1)
    assert (answer.one_pc_commit_ts, list(answer.errors)) == (0, [])
    assert txns.get(key, txns.timestamp()).error.locked.lock_version == late


# --- Asking for a transaction -----------------------------------------------------------------------------------------


def test_status_of_what_is_over(txns, key):
    start, commit = txns.put(key, b"v")
    assert txns.status(key, start).commit_version == commit
    start = txns.timestamp()
    txns.prewrite([key], start)
    assert txns.call("KvBatchRollback", key, keys=[key], start_version=start).ListFields() == []
    answer = txns.status(key, start)
    assert (answer.action, answer.commit_version, answer.lock_ttl) == (txns.pb.NoAction, 0, 0)


def test_status_of_what_is_unknown(txns, key):
    start = txns.timestamp()
    missing = txns.status(key, start).error.txn_not_found
    assert (missing.start_ts, missing.primary_key) == (start, key)
    answer = txns.status(key, start, rollback_if_not_exist=True, resolving_pessimistic_lock=True)
    assert answer.action == txns.pb.LockNotExistDoNothing
    assert txns.status(key, start, rollback_if_not_exist=True).action == txns.pb.LockNotExistRollback
    assert txns.prewrite([key], start).errors[0].conflict.reason == txns.pb.WriteConflict.SelfRolledBack


def test_status_of_what_has_expired(txns, key):
    start = txns.timestamp()
    txns.prewrite([key], start, lock_ttl=1)
    later = start + (2 << 18)
    assert txns.status(key, start, current_ts=later).action == txns.pb.TTLExpireRollback
    start = txns.timestamp()
    txns.lock([key], start, lock_ttl=1)
    answer = txns.status(key, start, current_ts=start + (2 << 18), resolving_pessimistic_lock=True)
    assert answer.action == txns.pb.TTLExpirePessimisticRollback


def test_status_at_a_secondary(txns, key):
    start = txns.timestamp()
    txns.prewrite([key], start, primary=b"a/p")
    mismatch = txns.status(key, start, verify_is_primary=True).error.primary_mismatch
    assert mismatch.lock_info.primary_lock == b"a/p"


def test_heartbeat_and_cleanup(txns, key):
    start = txns.timestamp()
    txns.prewrite([key], start, lock_ttl=100)
    assert txns.call("KvTxnHeartBeat", key, primary_lock=key, start_version=start, advise_lock_ttl=500).lock_ttl == 500
    locked = txns.call("KvCleanup", key, key=key, start_version=start, current_ts=start).error.locked
    assert locked.lock_version == start
    assert txns.call("KvCleanup", key, key=key, start_version=start).ListFields() == []
    assert txns.call(
        "KvTxnHeartBeat", key, primary_lock=key, start_version=start, advise_lock_ttl=500
    ).error.HasField("txn_not_found")
    start, commit = txns.put(key, b"v")
    assert txns.call("KvCleanup", key, key=key, start_version=start).commit_version == commit


def test_scan_and_resolve_locks_of_a_region(txns, key):
    old, new = txns.timestamp(), txns.timestamp()
    txns.prewrite([key + b"1"], old)
    txns.prewrite([key + b"2"], new)
    bounds = dict(start_key=key, end_key=key + b"9")
    locks = txns.call("KvScanLock", key, max_version=old, **bounds).locks
    assert [lock.key for lock in locks] == [key + b"1"]
    assert len(txns.call("KvScanLock", key, max_version=new, limit=1, **bounds).locks) == 1
    commit = txns.timestamp()
    infos = [txns.pb.TxnInfo(txn=old, status=commit), txns.pb.TxnInfo(txn=new, status=0)]
    assert txns.call("KvResolveLock", key, txn_infos=infos).ListFields() == []
    assert not txns.call("KvScanLock", key, max_version=commit, **bounds).locks
    assert txns.get(key + b"1", commit).value == b"v%d" % old
    assert txns.get(key + b"2", commit).not_found


# --- Pessimistic locks ------------------------------------------------------------------------------------------------


def test_pessimistic_lock_returns_values(txns, key):
    txns.put(key, b"v")
    start = txns.timestamp()
    answer = txns.lock([key, key + b"/n"], start, return_values=True)
    assert (list(answer.values), list(answer.not_founds)) == ([b"v", b""], [False, True])
    answer = txns.lock([key], start, for_update=txns.timestamp(), check_existence=True)
    assert (list(answer.values), list(answer.not_founds)) == ([], [False])
    assert txns.call(
        "KVPessimisticRollback", key, request_name="PessimisticRollbackRequest", keys=[key], start_version=start,
        for_update_ts=1 << 63
    ).ListFields() == []


def test_pessimistic_lock_conflict_and_force(txns, pb, key):
    start = txns.timestamp()
    other, commit = txns.put(key, b"v")
    [error] = txns.lock([key], start).errors
    assert (error.conflict.conflict_commit_ts, error.conflict.reason) == (commit, pb.WriteConflict.PessimisticRetry)
    answer = txns.lock([key], start, wake_up_mode=pb.WakeUpModeForceLock)
    [result] = answer.results
    assert result.type == pb.LockResultLockedWithConflict
    assert (result.value, result.existence, result.locked_with_conflict_ts) == (b"v", True, commit)


def test_lock_wait_ends_in_time_or_at_once(txns, pb, key):
    holder = txns.timestamp()
    txns.lock([key], holder)
    [error] = txns.lock([key], txns.timestamp(), wait_timeout=-1).errors
    assert error.locked.lock_version == holder
    [error] = txns.lock([key], txns.timestamp(), wait_timeout=20).errors
    assert error.locked.lock_version == holder
    answer = txns.lock([key], txns.timestamp(), wait_timeout=20, wake_up_mode=pb.WakeUpModeForceLock)
    assert [result.type for result in answer.results] == [pb.LockResultFailed]
    assert answer.errors[0].locked.lock_version == holder


def test_lock_wait_is_woken_by_a_commit(txns, pb, key):
    for mode in [pb.WakeUpModeNormal, pb.WakeUpModeForceLock]:
        holder = txns.timestamp()
        txns.lock([key], holder)
        start = txns.timestamp()
        waiting = txns.lock([key], start, wait=False, wait_timeout=0, wake_up_mode=mode)
        entries = []
        while not entries:
            entries = txns.call("GetLockWaitInfo", key, request_name="GetLockWaitInfoRequest").entries
        assert [(entry.txn, entry.wait_for_txn, entry.key) for entry in entries] == [(start, holder, key)]
        txns.prewrite([key], holder, for_update_ts=holder, pessimistic_actions=[pb.PrewriteRequest.DO_PESSIMISTIC_CHECK])
        commit = txns.timestamp()
        txns.commit([key], holder, commit)
        answer = waiting.result()
        if mode == pb.WakeUpModeNormal:
            conflict = answer.errors[0].conflict
            assert (conflict.conflict_ts, conflict.conflict_commit_ts) == (holder, commit)
            assert conflict.reason == pb.WriteConflict.PessimisticRetry
        else:
            assert answer.results[0].locked_with_conflict_ts == commit


def test_deadlock(txns, key):
    a, b = key + b"/a", key + b"/b"
    first, second = txns.timestamp(), txns.timestamp()
    txns.lock([a], first)
    txns.lock([b], second)
    waiting = txns.lock([b], first, wait=False, wait_timeout=0)
    while not txns.call("GetLockWaitInfo", key, request_name="GetLockWaitInfoRequest").entries:
        pass
    [error] = txns.lock([a], second).errors
    deadlock = error.deadlock
    assert (deadlock.lock_ts, deadlock.lock_key) == (first, a)
    assert [(entry.txn, entry.wait_for_txn, entry.key) for entry in deadlock.wait_chain] == [
        (first, second, b), (second, first, a)
    ]
    assert deadlock.deadlock_key_hash == deadlock.wait_chain[0].key_hash
    txns.call(
        "KVPessimisticRollback", key, request_name="PessimisticRollbackRequest", keys=[b], start_version=second,
        for_update_ts=1 << 63
    )
    assert waiting.result().errors[0].HasField("conflict")


# --- The rest ---------------------------------------------------------------------------------------------------------


def test_flush_and_read_back(txns, pb, key):
    start = txns.timestamp()
    mutations = [pb.Mutation(op=pb.Put, key=key, value=b"v"), pb.Mutation(op=pb.Del, key=key + b"/d")]
    fields = dict(mutations=mutations, primary_key=key, start_ts=start, lock_ttl=3000)
    assert not txns.call("KvFlush", key, generation=1, **fields).errors
    found = txns.call("KvBufferBatchGet", key, keys=[key, key + b"/d", key + b"/n"], version=start)
    assert [(pair.key, pair.value) for pair in found.pairs] == [(key, b"v"), (key + b"/d", b"")]
    assert txns.call("KvFlush", key, generation=0, **fields).errors[0].abort


def test_behind_the_scenes(txns, pb, key):
    start, commit = txns.put(key, b"v")
    at = txns.timestamp()
    txns.prewrite([key], at, values={key: b"x" * 300})
    info = txns.call("MvccGetByKey", key, request_name="MvccGetByKeyRequest", key=key).info
    assert (info.lock.start_ts, info.lock.primary, info.lock.type) == (at, key, pb.Put)
    assert [(write.type, write.start_ts, write.commit_ts) for write in info.writes] == [(pb.Put, start, commit)]
    assert [(value.start_ts, len(value.value)) for value in info.values] == [(at, 300)]
    found = txns.call("MvccGetByStartTs", key, request_name="MvccGetByStartTsRequest", start_ts=start)
    assert (found.key, found.info.writes[0].commit_ts) == (key, commit)
    assert not txns.call("MvccGetByStartTs", key, request_name="MvccGetByStartTsRequest", start_ts=1).key


def test_ranges_are_removed(txns, key):
    keys = [key + b"/%d" % index for index in range(4)]
    for one in keys:
        txns.put(one, b"v")
    assert txns.call("KvDeleteRange", key, start_key=keys[0], end_key=keys[2]).ListFields() == []
    version = txns.timestamp()
    assert [txns.get(one, version).not_found for one in keys] == [True, True, False, False]
    answer = txns.call(
        "UnsafeDestroyRange", key, request_name="UnsafeDestroyRangeRequest", start_key=keys[2], end_key=key + b"0"
    )
    assert answer.ListFields() == []
    assert all(txns.get(one, version).not_found for one in keys)


def test_key_outside_the_region(txns, key):
    answer = txns.call("KvGet", key, key=b"zz", version=txns.timestamp())
    assert answer.region_error.HasField("key_not_in_region")
    answer = txns.call("KvScan", b"e", start_key=b"a", version=txns.timestamp(), limit=1)
    assert "InvalidReqRange" in answer.error.abort


def test_commands_in_a_batch(txns, txn_cluster, proto, key):
    """A command that waits for a lock holds up no other of its stream."""
    holder = txns.timestamp()
    txns.lock([key], holder)
    context, store = txn_cluster.context(memcomparable(key))
    tikvpb = proto.tikvpb_pb2
    mutation = txns.pb.Mutation(op=txns.pb.PessimisticLock, key=key)
    lock = txns.pb.PessimisticLockRequest(
        context=context, mutations=[mutation], primary_lock=key, start_version=txns.timestamp(), lock_ttl=3000,
        for_update_ts=txns.timestamp(), wait_timeout=500,
    )
    get = txns.pb.GetRequest(context=context, key=key, version=txns.timestamp())
    request = tikvpb.BatchCommandsRequest(
        requests=[
            tikvpb.BatchCommandsRequest.Request(PessimisticLock=lock), tikvpb.BatchCommandsRequest.Request(Get=get),
        ],
        request_ids=[1, 2],
    )
    order, answers = [], {}
    for message in store.BatchCommands(iter([request]), timeout=10):
        for number, answer in zip(message.request_ids, message.responses):
            order.append(number)
            answers[number] = answer
    assert order == [2, 1]
    assert answers[2].Get.not_found
    assert answers[1].PessimisticLock.errors[0].locked.lock_version == holder
