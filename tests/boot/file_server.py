"""A web server for the files of a folder, on this host."""

import http.server
import pathlib
import re
import socket
import threading


class Cut(bytes):
    """An answer whose second half never comes."""


class Server:
    """Files of a folder, with parts of them, over connections that stay open; counts what it gives. `change(name, data)` makes something
    else of each file: other bytes, a Cut, or None for one that is not there; it may wait."""

    def __init__(self, folder, change=lambda name, data: data, ranges=True, tag=None):
        counts = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 17  # an answer is one write

            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def setup(self):
                super().setup()
                with counts.lock:
                    counts.connections.append(self.connection)

            def log_message(self, *_):
                pass

            def do_GET(self):
                path = pathlib.Path(self.translate_path(self.path))
                if not path.is_file():
                    return self.send_error(404)
                data, part = change(path.name, path.read_bytes()), ranges and re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                if data is None:
                    return self.send_error(404)
                first, last = (int(part[1]), min(int(part[2]), len(data) - 1)) if part else (0, len(data) - 1)
                self.send_response(206 if part else 200)
                if part:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                self.send_header("Content-Length", str(last + 1 - first))
                if tag:
                    self.send_header("ETag", tag())
                self.end_headers()
                try:
                    self.wfile.write(data[first:last + 1] if not isinstance(data, Cut) else data[first:(first + last) // 2])
                except ConnectionError:  # it has had enough
                    self.close_connection = True
                    return None
                self.close_connection = isinstance(data, Cut)
                with counts.lock:
                    counts.requests += 1
                    counts.bytes += last + 1 - first

        self.lock = threading.Lock()
        self.requests = self.bytes = 0
        self.connections = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def taken(self):
        with self.lock:
            found, self.requests, self.bytes = (self.requests, self.bytes), 0, 0
        return found

    def close(self):
        """Nobody is served any more, not over connections that are open either."""
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # it is closed
                    pass
