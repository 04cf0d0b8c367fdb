# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""Transactions through grpcio: requests with the right headers, one key or more."""

TIMEOUT = 10


def memcomparable(key):
    """The form of a transactional key by which regions are cut."""
    encoded = b""
    for start in range(0, len(key) + 1, 8):
        group = key[start : start + 8]
        encoded += group + b"\0" * (8 - len(group)) + bytes([255 - (8 - len(group))])
    return encoded


class Transactions:
    """Requests of the transactional API, as a client would send them that knows the regions."""

    def __init__(self, cluster, proto):
        self.cluster = cluster
        self.pb = proto.kvrpcpb_pb2
        self.proto = proto

    def timestamp(self):
        request = self.proto.pdpb_pb2.TsoRequest(header=self.cluster.header(), count=1)
        [answer] = self.cluster.pd.Tso(iter([request]), timeout=TIMEOUT)
        return (answer.timestamp.physical << 18) + answer.timestamp.logical

    def call(self, name, at, request_name=None, wait=True, **fields):
        """Sends a request to the leader of the region of the key `at`; without `wait`, returns the future."""
        context, store = self.cluster.context(memcomparable(at))
        for field in ("isolation_level", "resolved_locks", "committed_locks", "is_retry_request"):
            if field in fields:
                value = fields.pop(field)
                getattr(context, field).extend(value) if isinstance(value, list) else setattr(context, field, value)
        request_name = request_name or name.removeprefix("Kv").removeprefix("KV") + "Request"
        request = getattr(self.pb, request_name)(context=context, **fields)
        method = getattr(store, name)
        return method(request, timeout=TIMEOUT) if wait else method.future(request, timeout=TIMEOUT)

    # --- Writing ------------------------------------------------------------------------------------------------------

    def prewrite(self, keys, start, primary=None, ops=None, values=None, **fields):
        """All keys have to be in one region."""
        mutations = [
            self.pb.Mutation(
                op=(ops or {}).get(key, self.pb.Put), key=key, value=(values or {}).get(key, b"v%d" % start)
            )
            for key in keys
        ]
        fields.setdefault("lock_ttl", 3000)
        return self.call(
            "KvPrewrite", keys[0], mutations=mutations, primary_lock=primary or keys[0], start_version=start, **fields
        )

    def commit(self, keys, start, commit):
        return self.call("KvCommit", keys[0], keys=keys, start_version=start, commit_version=commit)

    def put(self, key, value):
        """A whole transaction; returns its timestamps."""
        start = self.timestamp()
        assert not self.prewrite([key], start, values={key: value}).errors
        commit = self.timestamp()
        assert not self.commit([key], start, commit).HasField("error")
        return start, commit

    def lock(self, keys, start, for_update=None, primary=None, wait=True, **fields):
        mutations = [self.pb.Mutation(op=self.pb.PessimisticLock, key=key) for key in keys]
        fields.setdefault("lock_ttl", 3000)
        return self.call(
            "KvPessimisticLock", keys[0], wait=wait, mutations=mutations, primary_lock=primary or keys[0],
            start_version=start, for_update_ts=for_update or start, **fields
        )

    # --- Reading ------------------------------------------------------------------------------------------------------

    def get(self, key, version, **fields):
        return self.call("KvGet", key, key=key, version=version, **fields)

    def status(self, primary, lock_ts, **fields):
        return self.call("KvCheckTxnStatus", primary, primary_key=primary, lock_ts=lock_ts, **fields)
