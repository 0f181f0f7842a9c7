"""Headless Chromium, driven by the DevTools protocol over a pipe: no port, no other package.

A Page evaluates JavaScript, waits until an expression is true, types keys, and takes pictures. The profile is a fresh
folder each time; the browser ends with the context.
"""

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
           "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Page:
    def __init__(self, url: str, patience: float = 1.0):
        self.url = url
        self.downloaded = None  # how the last download has ended
        self.patience = patience  # what times are multiplied by
        self.number = 0
        self.session = None
        self.loaded = False
        self.messages: list[str] = []  # of the console, and exceptions

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="vivarium-chromium-")
        # The browser reads from 3 and writes to 4: what has these numbers here must be nothing that Popen needs.
        low = []
        while (low and low[-1] or 0) < 4:
            low.append(os.open(os.devnull, os.O_RDWR))
        to_browser, self.to = os.pipe()
        self.answers, from_browser = os.pipe()

        def place_pipes():
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        self.process = subprocess.Popen([program(), *OPTIONS, f"--user-data-dir={self.profile}", "about:blank"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        close_fds=False, preexec_fn=place_pipes)
        for each in (*low, to_browser, from_browser):
            os.close(each)
        self.buffer = b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Runtime.enable")
        self.call("Page.enable")
        self.go(self.url)
        return self

    def go(self, url: str) -> None:
        self.loaded = False
        self.call("Page.navigate", url=url)
        while not self.loaded:
            self.read()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        os.close(self.to)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method: str, **parameters) -> dict:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def read(self) -> dict:
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], 300 * self.patience)[0]:
                raise AssertionError("the browser says nothing")
            piece = os.read(self.answers, 1 << 16)
            if not piece:
                raise AssertionError("the browser has ended")
            self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        if message.get("method") == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(each.get("value", "")) for each in message["params"]["args"]))
        if message.get("method") == "Page.loadEventFired":
            self.loaded = True
        if message.get("method") == "Page.downloadProgress" and message["params"]["state"] != "inProgress":
            self.downloaded = message["params"]["state"]
        if message.get("method") == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(message["params"]["exceptionDetails"])[:500])
        return message

    def evaluate(self, expression: str):
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise AssertionError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def wait_for(self, expression: str, seconds: float) -> None:
        """Until the expression is true; the page itself says when, so that nothing is polled from here."""
        waiting = (f"new Promise((done, failed) => {{ const end = performance.now() + {seconds * self.patience * 1000};"
                   f"const look = () => ({expression}) ? done() : performance.now() > end ? "
                   "failed(new Error(document.body.innerText.slice(-2000))) : setTimeout(look, 50); look(); })")
        self.evaluate(waiting)

    def download(self, expression: str, folder: pathlib.Path) -> None:
        """Evaluates it, which makes the page download a file, until that is in the folder."""
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.downloaded = None
        self.evaluate(expression)
        while self.downloaded is None:
            self.read()
        if self.downloaded != "completed":
            raise AssertionError(f"the download was {self.downloaded}")

    def choose_file(self, selector: str, path: pathlib.Path) -> None:
        found = self.call("Runtime.evaluate", expression=f"document.querySelector('{selector}')")["result"]["objectId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], objectId=found)

    def type(self, text: str) -> None:
        for character in text:
            key = "Enter" if character == "\n" else character
            more = {"windowsVirtualKeyCode": 13} if key == "Enter" else {"text": character}
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, path: pathlib.Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


def seconds_since(start: float) -> str:
    return f"{time.monotonic() - start:.1f} s"
