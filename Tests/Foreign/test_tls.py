# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""TLS: grpcio against a playground that requires client certificates, and tikv-cli as its user meets it.

The Rust client is not here: tikv-client 0.0.4 takes addresses of PD and nothing else, so it cannot be told to speak TLS.
"""

import re
import stat
import subprocess

import grpc
import pytest
from conftest import CLI, SPLIT_KEYS, Cluster, OurClient, Playground

FAILED = 2
FILES = {"ca.pem": 0o644, "server.pem": 0o644, "server-key.pem": 0o600, "client.pem": 0o644, "client-key.pem": 0o600}


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    """Not there yet: the playground makes it."""
    return tmp_path_factory.mktemp("tls") / "certificates"


@pytest.fixture(scope="session")
def secure(directory):
    split_keys = ",".join(key.decode() for key in SPLIT_KEYS)
    playground = Playground("--stores", "3", "--split-keys", split_keys, "--tls-dir", str(directory))
    yield playground
    assert playground.process.poll() is None, "the playground died during the tests"
    assert playground.stop() == (0, "")


def credentials(directory, with_certificate=True):
    certificate = {}
    if with_certificate:
        certificate["private_key"] = (directory / "client-key.pem").read_bytes()
        certificate["certificate_chain"] = (directory / "client.pem").read_bytes()
    return grpc.ssl_channel_credentials(root_certificates=(directory / "ca.pem").read_bytes(), **certificate)


@pytest.fixture
def grpcio(proto, secure, directory):
    cluster = Cluster(proto, secure.pd, credentials(directory))
    yield cluster
    cluster.close()


def tls_options(directory):
    return [
        "--tls-ca", str(directory / "ca.pem"),
        "--tls-cert", str(directory / "client.pem"), "--tls-key", str(directory / "client-key.pem"),
    ]


@pytest.fixture
def cli(secure, directory):
    """tikv-cli with a certificate, and a cluster without keys."""
    client = OurClient(secure.pd, *tls_options(directory))
    client.raw_done("delete-range", "--all")
    return client


def assert_one_line(result, *texts):
    assert result.returncode == FAILED
    assert result.stdout == ""
    assert re.fullmatch(r"tikv-cli: [^\n]+\n", result.stderr)
    for text in texts:
        assert text in result.stderr


# --- What --tls-dir makes ---------------------------------------------------------------------------------------------


def test_files_and_modes(secure, directory):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert {name: mode & 0o600 for name, mode in modes.items()} == dict.fromkeys(FILES, 0o600)
    # Of the others, the umask may have taken some of it.
    assert all(mode & ~FILES[name] == 0 for name, mode in modes.items())


def test_what_is_there_is_used_again(secure, directory):
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    second = Playground("--tls-dir", str(directory))
    assert OurClient(second.pd, *tls_options(directory)).raw_done("scan") == ""
    assert second.stop() == (0, "")
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def playground_fails(*arguments):
    return subprocess.run(
        [CLI, "playground", "--pd-port", "0", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )


def test_a_part_of_what_should_be_there(tmp_path):
    (tmp_path / "ca.pem").write_text("somebody else's")
    assert_one_line(playground_fails("--tls-dir", str(tmp_path)), "server.pem is missing")
    assert [path.name for path in tmp_path.iterdir()] == ["ca.pem"]


def test_a_directory_that_cannot_be_made(tmp_path):
    assert_one_line(playground_fails("--tls-dir", str(tmp_path / "a" / "b")), "No such file or directory")
    (tmp_path / "file").write_text("")
    assert_one_line(playground_fails("--tls-dir", str(tmp_path / "file")), "file")


def test_files_that_are_none(secure, directory, tmp_path):
    key = str(directory / "server-key.pem")
    assert_one_line(playground_fails("--tls-cert", str(tmp_path / "none"), "--tls-key", key), "No such file or directory")
    other = str(directory / "client-key.pem")
    assert_one_line(
        playground_fails("--tls-cert", str(directory / "server.pem"), "--tls-key", other), "does not belong"
    )


# --- grpcio -----------------------------------------------------------------------------------------------------------


def test_grpcio_asks_pd(grpcio, proto, secure):
    members = grpcio.pd.GetMembers(proto.pdpb_pb2.GetMembersRequest(), timeout=10)
    assert members.leader.client_urls == [f"https://{secure.pd}"]
    request = proto.pdpb_pb2.GetAllStoresRequest(header=grpcio.header())
    stores = grpcio.pd.GetAllStores(request, timeout=10).stores
    assert len(stores) == 3
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", store.address) for store in stores)


def test_grpcio_reads_and_writes(grpcio):
    for key in [b"a", *SPLIT_KEYS]:
        value = b"value of " + key + bytes(100_000)
        assert grpcio.raw_put(key, value).error == ""
        assert grpcio.raw_get(key).value == value


def test_grpcio_and_ours_see_the_same(grpcio, cli):
    cli.raw_done("put", "a", "ours")
    assert grpcio.raw_get(b"a").value == b"ours"
    grpcio.raw_put(b"z", b"grpcio's")
    assert cli.raw_done("get", "z") == "grpcio's\n"


@pytest.mark.parametrize("kind", ["plaintext", "no certificate"])
def test_grpcio_is_refused(proto, secure, directory, kind):
    channel = (
        grpc.insecure_channel(secure.pd)
        if kind == "plaintext"
        else grpc.secure_channel(secure.pd, credentials(directory, with_certificate=False))
    )
    with channel, pytest.raises(grpc.RpcError) as failure:
        stub = proto.pdpb_pb2_grpc.PDStub(channel)
        stub.GetMembers(proto.pdpb_pb2.GetMembersRequest(), timeout=10)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


# --- tikv-cli ---------------------------------------------------------------------------------------------------------


def test_cli_over_tls(cli):
    cli.raw_done("put", "a", "1")
    cli.raw_done("put", "z", "26")
    assert cli.raw_done("scan") == "a\t1\nz\t26\n"
    assert cli.raw_done("get", "--tls-server-name", "localhost", "a") == "1\n"


def test_bench_over_tls(cli):
    arguments = ["--operation", "get", "--count", "50", "--keys", "20", "--warm-up", "0"]
    result = cli.run("bench", "raw", "--pd", cli.pd, *cli.options, *arguments)
    assert (result.returncode, result.stderr) == (0, "")


def test_server_certificate_alone(secure, directory):
    """Without --tls-client-ca nobody is asked for a certificate."""
    playground = Playground(
        "--tls-cert", str(directory / "server.pem"), "--tls-key", str(directory / "server-key.pem")
    )
    client = OurClient(playground.pd, "--tls-ca", str(directory / "ca.pem"))
    client.raw_done("put", "a", "1")
    assert client.raw_done("get", "a") == "1\n"
    assert playground.stop() == (0, "")


def test_client_authority_of_its_own(secure, directory):
    playground = Playground(
        "--tls-cert", str(directory / "server.pem"), "--tls-key", str(directory / "server-key.pem"),
        "--tls-client-ca", str(directory / "ca.pem"),
    )
    assert OurClient(playground.pd, *tls_options(directory)).raw_done("scan") == ""
    result = OurClient(playground.pd, "--tls-ca", str(directory / "ca.pem")).raw("get", "--timeout", "2", "a")
    assert_one_line(result, playground.pd, "client certificate")
    assert playground.stop() == (0, "")


def test_cli_is_refused_and_says_why(secure, directory):
    def get(*options):
        return OurClient(secure.pd, *options).raw("get", "--timeout", "2", "a")

    assert_one_line(get(), secure.pd, "speaks TLS")
    assert_one_line(get("--tls"), secure.pd, "not signed by a trusted CA")
    assert_one_line(get("--tls-ca", str(directory / "ca.pem")), secure.pd, "demands a client certificate")
    assert_one_line(get(*tls_options(directory), "--tls-server-name", "pd.example"), secure.pd, "not for pd.example")


def test_cli_to_a_plaintext_cluster(playground, directory, secure):
    result = OurClient(playground.pd, *tls_options(directory)).raw("get", "--timeout", "2", "a")
    assert_one_line(result, playground.pd, "does not speak TLS")


def test_cli_with_files_that_are_none(secure, directory, tmp_path):
    missing = OurClient(secure.pd, "--tls-ca", str(tmp_path / "none")).raw("get", "a")
    assert_one_line(missing, str(tmp_path / "none"), "No such file or directory")
    (tmp_path / "empty.pem").write_text("")
    assert_one_line(OurClient(secure.pd, "--tls-ca", str(tmp_path / "empty.pem")).raw("get", "a"), "empty.pem")
