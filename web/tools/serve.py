#!/usr/bin/env python3
"""Serves the built site on this machine, with the headers and types that browsers want of it.

Promises: listens on the loopback address only; files of the site and of built guests, nothing else; guests are served from
the cache as guests/NAME/, with what the page must know of them in guest.json.
"""

import argparse
import contextlib
import functools
import http.server
import io
import json
import pathlib
import re
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "guests" / "tools"))
import cache  # noqa: E402

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json", "": "application/octet-stream"}

# Relays may be anywhere; without TLS on this machine alone.
POLICY = "default-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; connect-src 'self' wss: ws://127.0.0.1:* ws://localhost:*"


def guest_description(folder: pathlib.Path) -> dict:
    """guest.json as web/js/index.mjs wants it, out of a built guest's ready.toml."""
    ready = tomllib.loads((folder / "ready.toml").read_text(encoding="utf-8"))
    machine, boot = ready["machine"], ready["boot"]
    memory = machine["memory"]
    size = int(memory[:-1]) * UNITS[memory[-1]] if memory[-1] in UNITS else int(memory)
    description = {"board": machine["board"], "memory": size, "cpus": machine["cpus"], "append": boot["append"]}
    for file in ("kernel", "initrd"):
        if file in boot:
            description[file] = pathlib.Path(boot[file]).name
    if "console" in ready:
        description["ready"] = ready["console"]["ready"]
    if "exec" in ready:
        description["agent"] = ready["exec"]["port"]
    return description


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, **TYPES}
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer that is small is one packet
    disable_nagle_algorithm = True

    def __init__(self, *arguments, isolated: bool, quiet: bool, **options):
        self.isolated = isolated
        self.quiet = quiet
        super().__init__(*arguments, **options)

    def end_headers(self) -> None:
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", self.cache_control())
        super().end_headers()

    def handle(self) -> None:
        # Browsers drop connections when a page is left.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def cache_control(self) -> str:
        # A published machine's chunk is called by the hash of its content.
        immutable = re.search(r"/chunks/[0-9a-f]{2}/[0-9a-f]{32}$", self.path)
        return "public, max-age=31536000, immutable" if immutable else "no-cache"

    def translate_path(self, path: str) -> str:
        found = re.fullmatch(r"/guests/([a-z0-9-]+)/(kernel|initrd)", path.partition("?")[0])
        return str(cache.root() / "guests" / found[1] / found[2]) if found else super().translate_path(path)

    def do_GET(self) -> None:
        found = re.fullmatch(r"/guests/([a-z0-9-]+)/guest\.json", self.path.partition("?")[0])
        if not found:
            return super().do_GET()
        try:
            body = json.dumps(guest_description(cache.root() / "guests" / found[1])).encode()
        except (OSError, KeyError, tomllib.TOMLDecodeError):
            return self.send_error(404, "no such guest")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_head(self):
        """A part of a file, too: `viv run --restore URL` reads files by parts."""
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = pathlib.Path(self.translate_path(self.path))
        if not part or not path.is_file():
            return super().send_head()
        size = path.stat().st_size
        first, last = int(part[1]), min(int(part[2]), size - 1)
        if first > last:
            return self.send_error(416)
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(last + 1 - first)
        self.send_response(206)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return io.BytesIO(data)

    def copyfile(self, source, outputfile) -> None:
        # A page that is left does not wait for its files.
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)

    def log_message(self, *arguments) -> None:
        if not self.quiet:
            super().log_message(*arguments)


def make_server(site: pathlib.Path, port: int, isolated: bool = True, quiet: bool = True) -> http.server.ThreadingHTTPServer:
    handler = functools.partial(Handler, directory=str(site), isolated=isolated, quiet=quiet)
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve the built site on http://127.0.0.1:PORT/.")
    parser.add_argument("site", type=pathlib.Path, help="the folder, such as build/web/site")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free (default 8000)")
    parser.add_argument("--not-isolated", action="store_true", help="leave out the headers that isolate the page (COOP, COEP)")
    options = parser.parse_args()
    if not (options.site / "vivarium" / "vivarium.wasm").exists():
        raise cache.UserError(f"{options.site}: holds no built site; ./dev web build makes one")
    try:
        server = make_server(options.site, options.port, isolated=not options.not_isolated, quiet=False)
    except OSError as error:
        raise cache.UserError(f"--port {options.port}: {error.strerror}; name another, or 0 for any") from error
    print(f"serving {options.site} on http://127.0.0.1:{server.server_address[1]}/ until Ctrl-C", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    cache.command_line(main)
