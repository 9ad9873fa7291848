"""nginx, Caddy and haproxy with the configurations in docs/runbook.md, on ports of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
REQUIRED_BY = "SKYHOLD_PROXIES_REQUIRED"
START_SECONDS = 20.0

NAMES = {"nginx": "nginx", "caddyfile": "caddy", "haproxy": "haproxy"}
"""The programs, by the language of their blocks in the runbook."""


def lines_of(language: str) -> list[str]:
    """Return the runbook's blocks for a program, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", RUNBOOK.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def missing_for(language: str) -> str | None:
    """Return the missing program or requirement, or None."""
    missing = [name for name in (NAMES[language], "openssl") if _program(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def _program(name: str) -> str | None:
    # Debian installs servers in directories that are only in root's PATH.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate, in the files that the programs need."""

    directory: Path

    @classmethod
    def made_in(cls, directory: Path) -> Certificate:
        """Create one for all names in the runbook."""
        made = cls(directory)
        wanted = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=fly.example"
        names = "subjectAltName=DNS:fly.example,DNS:example.com"
        files = ["-keyout", str(made.key), "-out", str(made.chain)]
        program = _program("openssl")
        assert program is not None
        subprocess.run(
            [program, "req", *wanted.split(), "-addext", names, *files], check=True, capture_output=True, timeout=60
        )
        made.both.write_text(made.chain.read_text() + made.key.read_text())
        return made

    @property
    def chain(self) -> Path:
        return self.directory / "fly.example.pem"

    @property
    def key(self) -> Path:
        return self.directory / "fly.example.key"

    @property
    def both(self) -> Path:
        return self.directory / "fly.example.both.pem"


def configuration_of(language: str, lines: str, *, port: int, upstream: str, certificate: Certificate) -> str:
    """Return the lines with the ports and files of this machine, completed to a file for the program."""
    lines = lines.replace("127.0.0.1:8080", upstream).replace("/etc/ssl", str(certificate.directory))
    directory = certificate.directory
    if language == "nginx":
        own = f"""
            {"user root;" if os.geteuid() == 0 else ""} daemon off; pid {directory}/nginx.pid; error_log stderr;
            events {{}}
            http {{ access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
            fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
        """
        return own + re.sub(r"listen 443|listen 80", f"listen 127.0.0.1:{port}", lines) + "}"
    if language == "haproxy":
        return re.sub(r"bind :443", f"bind 127.0.0.1:{port}", lines)
    own = f"{{\nadmin off\nauto_https disable_redirects\n}}\nhttps://\\1:{port} {{\nbind 127.0.0.1\n"
    return re.sub(r"^(\S+) \{\n", f"{own}tls {certificate.chain} {certificate.key}\n", lines, count=1)


@contextlib.asynccontextmanager
async def running_proxy(language: str, configuration: str, port: int, directory: Path) -> AsyncIterator[None]:
    """Run the program with this configuration; it is stopped at the end."""
    file, log = directory / f"configuration.{language}", directory / f"{language}.log"
    file.write_text(configuration)
    program = _program(NAMES[language])
    assert program is not None
    arguments = {
        "nginx": ["-c", str(file), "-p", str(directory)],
        "haproxy": ["-db", "-f", str(file)],
        "caddyfile": ["run", "--config", str(file), "--adapter", "caddyfile"],
    }[language]
    homes = {name: str(directory) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - it only starts
            [program, *arguments], stdout=output, stderr=output, env=os.environ | homes
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not _listens(port):
                assert process.poll() is None, log.read_text()
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 10)
        process.kill()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class NamedHost(httpx.AsyncHTTPTransport):
    """A transport to this machine for host names that do not resolve."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(verify=ssl.create_default_context(cafile=str(certificate.chain)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = request.url
        request.extensions["sni_hostname"] = asked.host
        request.url = asked.copy_with(host="127.0.0.1")
        try:
            return await super().handle_async_request(request)
        finally:
            request.url = asked  # its cookies belong to that host
