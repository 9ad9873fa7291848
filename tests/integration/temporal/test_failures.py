"""Reasons for an unreachable Temporal, by the real client and a real server, with TLS if necessary."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from skyhold.bootstrap import temporal
from skyhold.bootstrap.health import open_probes
from skyhold.bootstrap.temporal import connect_to_namespace
from skyhold.domain.errors import WorkflowUnavailable
from skyhold.health.temporal_failures import Credentials, TemporalFailure, why_unreachable
from skyhold.health.verdict import ProbeFailure, ask_all
from skyhold.setting_errors import BadSettingError, MissingSettingError
from skyhold.settings import Settings
from skyhold_local.embedded.servers import Servers
from support.grpc_refusals import refusing_server
from support.tls_proxies import EXPIRED, Certificates, make_certificates, tls_proxy

CA, CERT, KEY, TLS, NAME, API_KEY = (
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "TEMPORAL_TLS_CLIENT_KEY_PATH",
    "TEMPORAL_TLS",
    "TEMPORAL_TLS_SERVER_NAME",
    "TEMPORAL_API_KEY",
)


@dataclass(frozen=True)
class Case:
    """A server, the client's variables, and the expected message: the cause and the variable to change."""

    port: str
    given: dict[str, str]
    what: str
    variable: str


@dataclass
class World:
    """Ports of servers of every kind, and files of two authorities; only the first signed the servers' certificates."""

    ours: Certificates
    others: Certificates
    nonsense: Path
    ports: dict[str, int] = field(default_factory=dict)

    def variables(self, given: dict[str, str]) -> dict[str, str]:
        files = {
            "ca": self.ours.ca,
            "other ca": self.others.ca,
            "cert": self.ours.client,
            "key": self.ours.client_key,
            "other cert": self.others.client,
            "other key": self.others.client_key,
            "nonsense": self.nonsense,
            "folder": self.nonsense.parent,
        }
        return {name: str(files.get(value, value)) for name, value in given.items()}


@pytest.fixture(scope="module")
def world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("temporal")
    nonsense = directory / "nonsense.pem"
    nonsense.write_text("nonsense")
    world = World(make_certificates(directory), make_certificates(directory / "others"), nonsense)
    upstream = ("127.0.0.1", servers.temporal.port)
    with ExitStack() as stack:
        enter = stack.enter_context
        silent = enter(socket.create_server(("127.0.0.1", 0)))
        world.ports = {
            "plain": servers.temporal.port,
            "ui": servers.temporal.ui_port,
            "redis": servers.redis.port,
            "tls": enter(tls_proxy(upstream, world.ours)),
            "mutual": enter(tls_proxy(upstream, world.ours, demands_client=True)),
            "named": enter(tls_proxy(upstream, world.ours, name="temporal.example")),
            "expired": enter(tls_proxy(upstream, world.ours, validity=EXPIRED)),
            "http/1.1": enter(tls_proxy(upstream, world.ours, protocol="http/1.1")),
            "unauthenticated": enter(refusing_server(16, "Request unauthorized.")),
            "denied": enter(refusing_server(7, "Request unauthorized.")),
            "limited": enter(refusing_server(8, "namespace rate limit exceeded")),
            "silent": silent.getsockname()[1],
            "nothing": 1,
        }
        yield world


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(temporal, "ANSWER_SECONDS", 2.0)


def _give(monkeypatch: pytest.MonkeyPatch, world: World, port: str, given: dict[str, str]) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"localhost:{world.ports[port]}")
    for name, value in world.variables(given).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("port", "given"),
    [
        ("plain", {}),
        ("tls", {CA: "ca"}),
        ("mutual", {CA: "ca", CERT: "cert", KEY: "key"}),
        ("named", {CA: "ca", NAME: "temporal.example"}),
        ("plain", {API_KEY: "any", TLS: "false"}),
        ("tls", {API_KEY: "any", CA: "ca"}),
    ],
)
async def test_a_server_is_reached_with_what_it_wants(
    world: World, monkeypatch: pytest.MonkeyPatch, port: str, given: dict[str, str]
) -> None:
    _give(monkeypatch, world, port, given)
    client, namespace_id, _ = await connect_to_namespace()
    assert client.namespace == "default"
    assert namespace_id


FAILURES = [
    Case("nothing", {}, "nothing listens there", "TEMPORAL_ADDRESS"),
    Case("nothing", {CA: "ca"}, "nothing listens there", "TEMPORAL_ADDRESS"),
    Case("silent", {}, "takes connections and does not answer", "TEMPORAL_ADDRESS"),
    Case("tls", {}, "If it expects TLS", "TEMPORAL_TLS=true"),
    Case("mutual", {}, "If it expects TLS", "TEMPORAL_TLS=true"),
    Case("plain", {TLS: "true"}, "does not speak TLS", "TEMPORAL_TLS=false"),
    Case("plain", {CA: "ca"}, "does not speak TLS", "TEMPORAL_TLS=false"),
    Case("plain", {API_KEY: "any"}, "does not speak TLS", "TEMPORAL_TLS=false"),
    Case("tls", {TLS: "true"}, "authority that is not trusted", CA),
    Case("tls", {CA: "other ca"}, "authority that is not trusted", CA),
    Case("named", {CA: "ca"}, "not for this name, but for temporal.example", NAME),
    Case("expired", {CA: "ca"}, "not valid now", "clock"),
    Case("mutual", {CA: "ca"}, "certificate of the client", CERT),
    Case("mutual", {CA: "ca", CERT: "other cert", KEY: "other key"}, "the client's certificate", CERT),
    Case("http/1.1", {CA: "ca"}, "is not Temporal", "TEMPORAL_ADDRESS"),
    Case("redis", {}, "if it is not Temporal", "TEMPORAL_ADDRESS"),
    Case("unauthenticated", {}, "does not accept the credentials", API_KEY),
    Case("denied", {}, "denies permission", API_KEY),
    Case("limited", {}, "takes no more requests", "at the moment"),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: f"{case.port}-{'-'.join(case.given) or 'nothing'}")
async def test_each_failure_says_what_it_is_and_what_to_change(
    world: World, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    _give(monkeypatch, world, case.port, case.given)
    with pytest.raises(WorkflowUnavailable) as unavailable:
        await connect_to_namespace()
    failure = unavailable.value.__cause__
    assert isinstance(failure, TemporalFailure)
    assert str(failure).startswith(f"Temporal at localhost:{world.ports[case.port]} cannot be reached: ")
    assert case.what in str(failure)
    assert case.variable in str(failure)
    assert "\n" not in str(failure)


@pytest.mark.parametrize(
    "case",
    [case for case in FAILURES if case.port != "silent"],
    ids=lambda case: f"{case.port}-{'-'.join(case.given) or 'nothing'}",
)
async def test_and_so_does_the_check_of_a_process_that_started_without_it(
    world: World, monkeypatch: pytest.MonkeyPatch, servers: Servers, case: Case
) -> None:
    _give(monkeypatch, world, case.port, case.given)
    settings = Settings(database_url=servers.database_url, redis_url=servers.redis_url)
    async with open_probes(settings) as probes:
        said = await asyncio.wait_for(probes["temporal"](), 10)
    assert isinstance(said, ProbeFailure)
    assert case.what in said.reason
    assert case.variable in said.reason
    assert not said.is_misconfigured


WRONG = pytest.mark.parametrize(
    ("given", "what"),
    [
        ({CA: "/nowhere/ca.pem"}, f"{CA}: No such file"),
        ({CERT: "/nowhere/c.pem", KEY: "key"}, f"{CERT}: No such file"),
        ({CERT: "cert", KEY: "/nowhere/k.pem"}, f"{KEY}: No such file"),
        ({CA: "folder"}, f"{CA}: Is a directory"),
        ({CA: "nonsense"}, f"{CA}: has no certificate"),
        ({CA: "key"}, f"{CA}: has no certificate"),
        ({CA: "ca", CERT: "cert"}, "one needs the other"),
        ({CA: "ca", KEY: "key"}, "one needs the other"),
        ({CERT: "cert"}, "one needs the other"),
        ({CA: "ca", CERT: "cert", KEY: "nonsense"}, f"{KEY}: has no private key"),
        ({CA: "ca", CERT: "nonsense", KEY: "key"}, f"{CERT}: has no certificate"),
        ({CA: "ca", CERT: "cert", KEY: "other key"}, "do not belong together"),
        ({CA: "ca", "TEMPORAL_TLS_SERVER_CA_CERT_DATA": "x"}, f"{CA} and TEMPORAL_TLS_SERVER_CA_CERT_DATA: only one"),
        ({"TEMPORAL_PROFILE": "absent"}, "TEMPORAL_PROFILE: there is no profile"),
        ({"TEMPORAL_CONFIG_FILE": "/nowhere/t.toml"}, "TEMPORAL_CONFIG_FILE: there is no such file"),
        ({"TEMPORAL_CONFIG_FILE": "nonsense"}, "TEMPORAL_CONFIG_FILE: is not valid TOML, at line 1"),
        ({"TEMPORAL_CONFIG_FILE": "folder"}, "TEMPORAL_CONFIG_FILE"),
        ({CA: "ca", NAME: "no name!"}, NAME),
        ({CA: "ca", NAME: "-a..b"}, NAME),
        ({"TEMPORAL_GRPC_META_X": "a\nb"}, "TEMPORAL_GRPC_META_"),
    ],
)


@WRONG
async def test_what_is_wrong_with_the_configuration_names_the_variable(
    world: World, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], what: str
) -> None:
    _give(monkeypatch, world, "tls", given)
    with pytest.raises(BadSettingError) as bad:
        await connect_to_namespace()
    assert what in str(bad.value)
    assert "\n" not in str(bad.value)
    assert str(world.nonsense.parent) not in str(bad.value)


@WRONG
async def test_and_so_it_does_for_a_process_that_may_start_without_a_server(
    world: World, monkeypatch: pytest.MonkeyPatch, servers: Servers, given: dict[str, str], what: str
) -> None:
    _give(monkeypatch, world, "nothing", given)
    settings = Settings(database_url=servers.database_url, redis_url=servers.redis_url)
    with pytest.raises(BadSettingError) as bad:
        async with open_probes(settings):
            pass
    assert what in str(bad.value)
    assert str(world.nonsense.parent) not in str(bad.value)


async def test_the_checks_know_a_namespace_that_is_not_there(
    world: World, monkeypatch: pytest.MonkeyPatch, servers: Servers
) -> None:
    _give(monkeypatch, world, "plain", {"TEMPORAL_NAMESPACE": "not there"})
    settings = Settings(database_url=servers.database_url, redis_url=servers.redis_url)
    async with open_probes(settings) as probes:
        said = await ask_all({name: probes[name] for name in ("temporal", "worker")})
    for failure in said.values():
        assert failure is not None
        assert failure.is_misconfigured
        assert failure.reason == "there is no namespace 'not there' (TEMPORAL_NAMESPACE)"
        assert "temporal operator namespace create --namespace 'not there' --address" in (failure.remedy or "")


async def test_a_namespace_that_is_not_there_comes_with_the_command_that_makes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _give(monkeypatch, world, "plain", {"TEMPORAL_NAMESPACE": "not there"})
    with pytest.raises(BadSettingError) as bad:
        await connect_to_namespace()
    address = f"localhost:{world.ports['plain']}"
    assert f"temporal operator namespace create --namespace 'not there' --address {address}" in str(bad.value)


async def test_no_address_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    with pytest.raises(MissingSettingError, match="TEMPORAL_ADDRESS"):
        await connect_to_namespace()


@pytest.mark.parametrize(
    "end",
    [
        'Canceled, "connection closed"',
        'Canceled, "connection was not ready"',
        "Io, Kind(ConnectionReset)",
        "Io, Kind(NotConnected)",
        'Io, Custom { kind: BrokenPipe, error: "stream closed because of a broken pipe" }',
        'Io, Custom { kind: UnexpectedEof, error: "peer closed connection without sending TLS close_notify" }',
        "ChannelClosed",
    ],
)
@pytest.mark.parametrize(
    ("credentials", "what"),
    [
        (Credentials(is_encrypted=False, has_certificate=False), "set TEMPORAL_TLS=true"),
        (Credentials(is_encrypted=True, has_certificate=False), f"set {CERT} and {KEY}"),
        (Credentials(is_encrypted=True, has_certificate=True), f"correct {CERT} and {KEY}"),
    ],
)
def test_wherever_a_server_that_hangs_up_is_noticed_it_is_said_what_it_may_want(
    end: str, credentials: Credentials, what: str
) -> None:
    error = f"tonic::transport::Error(Transport, hyper::Error({end}))"
    text = f"Failed client connect: `get_system_info` call error after connection: Status {{ code: Unknown, {error} }}"
    assert what in why_unreachable(RuntimeError(text), credentials)


@pytest.mark.parametrize("text", ["", "something new that no table knows", "x" * 10_000])
def test_a_text_that_is_new_still_gives_one_clear_sentence(text: str) -> None:
    why = why_unreachable(RuntimeError(text), Credentials(is_encrypted=False, has_certificate=False))
    assert why == "it does not answer; check TEMPORAL_ADDRESS and TEMPORAL_TLS"
