"""A web server for the files of a folder, on this host."""

import http.server
import pathlib
import re
import threading


class Server:
    """Files of a folder, with parts of them, over connections that stay open; counts what it gives."""

    def __init__(self, folder):
        counts = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 17  # an answer is one write

            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *_):
                pass

            def do_GET(self):
                path = pathlib.Path(self.translate_path(self.path))
                if not path.is_file():
                    return self.send_error(404)
                data, part = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                first, last = (int(part[1]), min(int(part[2]), len(data) - 1)) if part else (0, len(data) - 1)
                self.send_response(206 if part else 200)
                if part:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                self.send_header("Content-Length", str(last + 1 - first))
                self.end_headers()
                self.wfile.write(data[first:last + 1])
                with counts.lock:
                    counts.requests += 1
                    counts.bytes += last + 1 - first

        self.lock = threading.Lock()
        self.requests = self.bytes = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def taken(self):
        with self.lock:
            found, self.requests, self.bytes = (self.requests, self.bytes), 0, 0
        return found

    def close(self):
        self.server.shutdown()
        self.server.server_close()
