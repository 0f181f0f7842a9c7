#!/usr/bin/env python3
"""Images behind URLs: published ones and others by parts, read by viv-img; whatever a server does wrong is an error and never wrong
data, and no image makes requests that the user has not asked for."""
import http.server
import json
import pathlib
import sys
import threading
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))

from file_server import Cut, Server  # noqa: E402

SIZE = (5 << 20) + 512


class WebImage(ImageTest):
    def setUp(self):
        super().setUp()
        self.raw = self.random_raw("disk.raw", SIZE, 60)
        self.public = self.path("public")
        viv_img("publish", "-q", self.raw, self.public)
        viv_img("convert", "-O", "qcow2", self.raw, self.public / "disk.qcow2")
        viv_img("convert", "-c", "-O", "qcow2", self.raw, self.public / "small.qcow2")
        shutil.copy(self.raw, self.public / "disk.raw")

    def serve(self, *arguments, **how):
        server = Server(self.public, *arguments, **how)
        self.addCleanup(server.close)
        return server

    def refused(self, *words):
        result = viv_img(*words, code=(1, 2))
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        return result.stderr

    def test_all_kinds_are_read(self):
        server = self.serve()
        for name in ("disk.disk", "disk.raw", "disk.qcow2", "small.qcow2"):
            with self.subTest(name=name):
                viv_img("compare", server.url + name, self.raw)
                viv_img("convert", "-O", "raw", server.url + name, self.path("copy"))
                viv_img("compare", self.path("copy"), self.raw)
        self.assertIn("file format: published", viv_img("info", server.url + "disk.disk").stdout)

    def test_what_is_looked_at_is_fetched(self):
        server = self.serve()
        viv_img("info", server.url + "disk.disk")
        self.assertEqual(server.taken()[0], 1)
        viv_img("info", server.url + "disk.raw")
        self.assertLess(server.taken()[1], 400 << 10)

    def test_a_server_without_parts(self):
        server = self.serve(ranges=False)
        viv_img("compare", server.url + "disk.disk", self.raw)
        self.assertIn("the server gives files only as a whole", self.refused("info", server.url + "disk.raw"))
        (self.public / "little").write_bytes(bytes(512) + bytes(range(256)) * 2)
        viv_img("compare", server.url + "little", self.public / "little")

    def test_wrong_chunks(self):
        chunk = sorted(path for path in (self.public / "chunks").rglob("*") if path.is_file())[7].name
        for change, said in ((lambda data: data[:-1] + bytes([data[-1] ^ 1]), "fails its check"),
                             (lambda data: data[:-1], "has another size"),
                             (lambda data: data + b"x", "is larger than"),
                             (lambda data: b"", "has another size"),
                             (lambda data: None, "the server answers 404"),
                             (Cut, "transfer closed")):
            server = self.serve(lambda name, data, change=change: change(data) if name == chunk else data)
            error = self.refused("compare", server.url + "disk.disk", self.raw)
            self.assertIn(said, error)
            self.assertIn(chunk, error)

    def test_a_cut_answer_is_asked_for_again(self):
        cut = []

        def change(name, data):
            if len(name) != 32 or name in cut:
                return data
            cut.append(name)
            return Cut(data)

        server = self.serve(change)
        viv_img("compare", server.url + "disk.disk", self.raw)
        self.assertGreater(len(cut), 10)

    def test_an_index_that_is_wrong(self):
        index = (self.public / "disk.disk").read_bytes()
        for wrong in (index[:-1], index[:100], bytes([*index[:40], index[40] ^ 1, *index[41:]]), index[:16]):
            server = self.serve(lambda name, data, wrong=wrong: wrong)
            self.assertIn("the published disk is damaged", self.refused("info", server.url + "disk.disk"))

    def test_a_file_that_changes(self):
        tags = iter(["one"])
        server = self.serve(tag=lambda: next(tags, "two"))
        self.assertIn("has changed since it was opened", self.refused("compare", server.url + "disk.raw", self.raw))
        lengths = iter([SIZE, SIZE - 512])
        server = self.serve(lambda name, data: data[:next(lengths, SIZE - 512)])
        self.assertIn("has changed since it was opened", self.refused("compare", server.url + "disk.raw", self.raw))

    def test_nobody_is_there(self):
        self.assertIn("http://127.0.0.1:1/disk.raw: ", self.refused("info", "http://127.0.0.1:1/disk.raw"))
        server = self.serve()
        self.assertIn("404", self.refused("info", server.url + "other.disk"))

    def test_only_the_user_names_urls(self):
        server = self.serve()
        viv_img("create", "-q", "-f", "qcow2", "-b", server.url + "disk.disk", "-F", "published", self.path("over"))
        server.taken()
        for words in (("compare", self.path("over"), self.raw), ("convert", self.path("over"), self.path("copy")), ("map", self.path("over")),
                      ("publish", self.path("over"), self.path("other"))):
            error = self.refused(*words)
            self.assertIn("is behind a URL, which an image may not name by itself", error)
        self.assertEqual(server.taken(), (0, 0))
        self.assertIn("#", viv_img("info", self.path("over")).stdout)
        self.assertEqual(server.taken(), (0, 0))
        viv_img("compare", "--web", self.path("over"), self.raw)

    def test_an_image_behind_a_url_names_nothing(self):
        secret = self.random_raw("secret", 1 << 20)
        for name, below in (("file", secret), ("relative", "disk.raw"), ("far", "http://127.0.0.1:1/x")):
            viv_img("create", "-q", "-f", "qcow2", self.public / name, "1M")
            viv_img("rebase", "-u", "-b", below, "-F", "raw", self.public / name)
            server = self.serve()
            error = self.refused("compare", "--web", server.url + name, secret)
            self.assertIn("is named by an image behind a URL, which must stand alone", error)
        viv_img("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", self.public / "several.vmdk", "1M")
        server = self.serve()
        self.assertIn("must stand alone", self.refused("info", server.url + "several.vmdk"))

    def test_what_is_published_anew_is_not_put_below(self):
        server = self.serve()
        viv_img("create", "-q", "-f", "qcow2", "-b", server.url + "disk.disk", "-F", "published", self.path("over"))
        viv_img("publish", "-q", "--name", "disk", self.random_raw("new", SIZE), self.public)
        self.assertIn("was put over another version of", self.refused("compare", "--web", self.path("over"), self.raw))

    def test_rebasing_onto_a_url(self):
        server = self.serve()
        over, changed = self.path("over"), self.random_raw("changed", SIZE + (1 << 20))
        viv_img("convert", "-O", "qcow2", changed, over)
        for name, image_format in (("disk.disk", "published"), ("disk.qcow2", "qcow2")):
            words = ("rebase", "-b", server.url + name, "-F", image_format, over)
            before = over.read_bytes()
            server.taken()
            self.assertIn("--web allows what is behind a URL", self.refused(*words))
            self.assertEqual((server.taken(), over.read_bytes()), ((0, 0), before))
            viv_img(*words[:1], "--web", *words[1:])
            self.assertEqual(json.loads(viv_img("info", "--output", "json", over).stdout)["backing-filename"].split("#")[0], server.url + name)
            viv_img("compare", "--web", over, changed)
            viv_img("check", over)
        # From there to another place, and to nothing: what showed from the server becomes the image's own.
        viv_img("create", "-q", "-f", "qcow2", "-b", server.url + "disk.disk", "-F", "published", over)
        self.assertIn("#", viv_img("info", over).stdout)
        viv_img("rebase", "--web", "-b", changed, "-F", "raw", over)
        viv_img("compare", over, self.raw)
        viv_img("rebase", "--web", "-b", server.url + "disk.disk#of another", "-F", "published", over, code=1)
        viv_img("rebase", "-b", "", over)
        viv_img("compare", over, self.raw)

    def test_redirections_stay_in_the_web(self):
        target = []

        class Away(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(302)
                self.send_header("Location", target[0] if self.path == "/away" else "/away")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Away) as away:
            thread = threading.Thread(target=away.serve_forever)
            thread.start()
            try:
                url = f"http://127.0.0.1:{away.server_address[1]}/away"
                server = self.serve()
                target.append(server.url + "disk.raw")
                viv_img("compare", url, self.raw)
                for where in (f"file://{self.raw}", "gopher://127.0.0.1/", "/away"):
                    target[0] = where
                    self.refused("info", url)
            finally:
                away.shutdown()
                thread.join()


if __name__ == "__main__":
    unittest.main()
