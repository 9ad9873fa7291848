"""Settings: parsing of values, and one clear line for a bad one."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.domain.orders import Policy
from skyhold.setting_errors import BadSettingError
from skyhold.settings import Settings, parse_duration, parse_latency, read_settings

CANARY = "31337"

_MS = timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("15m", timedelta(minutes=15)),
        ("10s", timedelta(seconds=10)),
        ("1m30s", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("1h2m3s4ms", timedelta(hours=1, minutes=2, seconds=3, milliseconds=4)),
        ("200ms", timedelta(seconds=0.2)),
        ("0.5s", timedelta(seconds=0.5)),
        (" 10s ", timedelta(seconds=10)),
    ],
)
def test_a_duration_reads_as_people_write_it(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@given(st.timedeltas(timedelta(0), timedelta(days=366)).map(lambda time: timedelta(milliseconds=time // _MS)))
def test_a_duration_that_is_written_out_is_read_back(duration: timedelta) -> None:
    milliseconds = duration // _MS
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, rest = divmod(rest, 1000)
    assert parse_duration(f"{hours}h{minutes}m{seconds}s{rest}ms") == duration


@given(st.text() | st.from_regex(r"[0-9]{1,30}(h|m|s|ms)?", fullmatch=True) | st.integers() | st.none())
def test_any_other_text_is_refused_with_a_value_error(text: object) -> None:
    try:
        assert timedelta(0) <= parse_duration(text) <= timedelta(days=366)
    except ValueError as bad:
        message = str(bad)
        assert re.fullmatch(r"must be .*", message)


@pytest.mark.parametrize(
    ("text", "bounds"), [("1s-8s", (1, 8)), ("0s", (0, 0)), ("2s", (2, 2)), ("0s-1m", (0, 60)), ("3s-3s", (3, 3))]
)
def test_a_latency_is_a_duration_or_two(text: str, bounds: tuple[int, int]) -> None:
    assert parse_latency(text) == tuple(timedelta(seconds=bound) for bound in bounds)


@pytest.mark.parametrize("text", ["8s-1s", "1s-2s-3s", "-", "1s-", "soon", "", 5, None])
def test_anything_else_is_no_latency(text: object) -> None:
    with pytest.raises(ValueError, match=r"^must be a duration"):
        parse_latency(text)


def test_without_an_environment_the_settings_are_the_products() -> None:
    settings = read_settings()
    assert settings.policy == Policy()
    assert (settings.server_host, settings.server_port) == ("127.0.0.1", 8080)
    assert settings.payment_simulated_latency == (timedelta(seconds=1), timedelta(seconds=8))
    assert settings.payment_failure_rate == 0.15


def test_every_setting_of_a_policy_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SEAT_RESERVATION_TIMEOUT": "1m30s",
        "HOLD_MAX_LIFETIME": "1h",
        "MAX_SEATS_PER_ORDER": "4",
        "MAX_HOLDS_PER_GUEST": "2",
        "PAYMENT_VALIDATION_TIMEOUT": "3s",
        "PAYMENT_MAX_RETRIES": "7",
        "PAYMENT_SIMULATED_LATENCY": "10ms-2s",
        "PAYMENT_FAILURE_RATE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.policy == Policy(
        hold_seconds=90,
        max_lifetime_seconds=3600,
        max_seats=4,
        max_holds=2,
        payment_limit_seconds=3,
        payment_attempts=7,
    )
    assert settings.payment_simulated_latency == (timedelta(seconds=0.01), timedelta(seconds=2))
    assert settings.payment_failure_rate == 1


def test_an_empty_variable_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_PORT", "")
    assert read_settings().server_port == 8080


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVER_PORT", "31337x"),
        ("SERVER_PORT", "3133731337"),
        ("SEAT_RESERVATION_TIMEOUT", CANARY),
        ("SEAT_RESERVATION_TIMEOUT", "0s"),
        ("SEAT_RESERVATION_TIMEOUT", "31337313373133731337h"),
        ("SEAT_RESERVATION_TIMEOUT", "-31337s"),
        ("HOLD_MAX_LIFETIME", "31337 minutes"),
        ("PAYMENT_VALIDATION_TIMEOUT", "31337h"),
        ("MAX_SEATS_PER_ORDER", "0"),
        ("MAX_SEATS_PER_ORDER", CANARY),
        ("MAX_HOLDS_PER_GUEST", "-31337"),
        ("PAYMENT_MAX_RETRIES", "3.1337"),
        ("PAYMENT_FAILURE_RATE", CANARY),
        ("PAYMENT_FAILURE_RATE", "nan"),
        ("PAYMENT_FAILURE_RATE", "15 %"),
        ("PAYMENT_SIMULATED_LATENCY", CANARY),
        ("PAYMENT_SIMULATED_LATENCY", "8s-1s"),
        ("WORKFLOW_SANDBOX", CANARY),
        ("LOG_FORMAT", CANARY),
        ("LOG_LEVEL", CANARY),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_line_that_names_the_variable_and_not_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettingError) as bad:
        read_settings()
    line = str(bad.value)
    assert line.startswith(f"{name}: ")
    assert "\n" not in line
    assert "3133" not in line
    assert value not in line.removeprefix(name).split()
    assert bad.value.__cause__ is None
    assert bad.value.__suppress_context__, "a traceback must not show the value either"


def test_addresses_with_their_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me:{CANARY}@localhost/skyhold")
    monkeypatch.setenv("REDIS_URL", f"redis://:{CANARY}@localhost")
    settings = read_settings()
    assert CANARY not in f"{settings} {settings!r}"


@pytest.mark.parametrize(("text", "rate"), [("120/minute", "120/minute"), (" 5/Second ", "5/second"), ("OFF", None)])
def test_a_rate_is_a_number_for_a_time_or_off(monkeypatch: pytest.MonkeyPatch, text: str, rate: str | None) -> None:
    monkeypatch.setenv("RATE_LIMIT", text)
    assert read_settings().rate_limit == rate


def test_origins_and_proxies_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, http://localhost:5173")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1 ::1")
    settings = read_settings()
    assert settings.cors_origins == ("https://a.example", "http://localhost:5173")
    assert settings.trusted_proxies == ("10.0.0.0/8", "127.0.0.1/32", "::1/128")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://fly.example", "https://fly.example"),
        ("https://fly.example/", "https://fly.example"),
        (" HTTPS://Fly.Example:443/ ", "https://fly.example"),
        ("http://fly.example:80", "http://fly.example"),
        ("http://fly.example:8080/Fly/v1.0/", "http://fly.example:8080/Fly/v1.0"),
        ("http://[2001:DB8::1]:8080/fly", "http://[2001:db8::1]:8080/fly"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://example.com/apis", "https://example.com/apis"),
    ],
)
def test_the_public_address_is_read_in_its_usual_form(monkeypatch: pytest.MonkeyPatch, text: str, address: str) -> None:
    monkeypatch.setenv("PUBLIC_URL", text)
    assert read_settings().public_url == address


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RATE_LIMIT", "0/minute"),
        ("RATE_LIMIT", "120"),
        ("RATE_LIMIT", f"{CANARY}/fortnight"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example/"),
        ("CORS_ORIGINS", "a.example"),
        ("CORS_ORIGINS", "ftp://a.example"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("SECRET_KEY", f"{CANARY}-too-short"),
        ("PUBLIC_URL", "fly.example"),
        ("PUBLIC_URL", "ftp://fly.example"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", f"https://me:{CANARY}@fly.example"),
        ("PUBLIC_URL", f"https://fly.example/?{CANARY}"),
        ("PUBLIC_URL", "https://fly.example/#top"),
        ("PUBLIC_URL", "https://fly.example:0"),
        ("PUBLIC_URL", "https://fly.example:70000"),
        ("PUBLIC_URL", "https://[::1"),
        ("PUBLIC_URL", "https://[1:2]"),
        ("PUBLIC_URL", "https://fly.example/a b"),
        ("PUBLIC_URL", "https://fly.example//fly"),
        ("PUBLIC_URL", "https://fly.example/../fly"),
        ("PUBLIC_URL", "https://fly.example/<script>"),
        ("PUBLIC_URL", "https://example.com/api"),
        ("PUBLIC_URL", "https://example.com/Orders/fly"),
        ("PUBLIC_URL", "https://bücher.example"),
    ],
)
def test_what_cannot_be_meant_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(BadSettingError, match=f"^{name}: ") as bad:
        read_settings()
    assert CANARY not in str(bad.value)


ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
SETTINGS = {name.upper(): field.get_default() or None for name, field in Settings.model_fields.items()}
"""The defaults; an empty list and `false` count as None."""


def _meant(name: str, text: str) -> object:
    """Return the value of a default in a document."""
    given: dict[str, Any] = {} if text in {"none", ""} else {name.lower(): text}
    return getattr(Settings(**given), name.lower()) or None


def test_every_setting_stands_in_the_runbook_with_its_default() -> None:
    chapter = RUNBOOK.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) \|$", chapter, re.MULTILINE)
    told = {
        name: default.strip("`")
        for names, defaults, _ in rows
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True)
    }
    told = {name.strip("`"): default for name, default in told.items()}
    assert set(told) == set(SETTINGS)
    assert all(what for _, _, what in rows)
    assert {name: _meant(name, text) for name, text in told.items()} == SETTINGS


def test_what_compose_repeats_of_a_default_is_the_default() -> None:
    repeated = re.findall(r"\$\{([A-Z_]+):-(.*?)\}", (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    compared = {name: _meant(name, text) for name, text in repeated if name in SETTINGS}
    assert len(compared) > 5
    assert compared == {name: SETTINGS[name] for name in compared}


def test_every_other_variable_that_is_read_stands_in_the_runbook() -> None:
    source = ROOT / "src" / "skyhold"
    read = {
        name
        for module in source.rglob("*.py")
        for name in re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', module.read_text(encoding="utf-8"))
    }
    assert "SKYHOLD_API" in read
    assert {name for name in read if f"`{name}`" not in RUNBOOK} == set()
