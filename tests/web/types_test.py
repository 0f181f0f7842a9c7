"""The package's types, checked by TypeScript over a program that uses them rightly, and one that does not. Skipped without npm's registry."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "web" / "tools"))
import npm_packages  # noqa: E402

SITE = pathlib.Path(os.environ.get("VIV_WEB_SITE", ROOT / "build" / "web" / "site"))
RIGHT = """
import { Vivarium, LoadError, type Result } from "vivarium";
import "vivarium/elements";
const vm: Vivarium = await Vivarium.start({ guest: "linux-riscv64", files: { "/tmp/a": "b" }, onSerial: (bytes) => bytes.length });
const result: Result = await vm.exec(["ls", "/"], { cwd: "/", onStdout: (bytes) => bytes.byteLength });
const blob: Blob = await vm.save();
await vm.restore(blob);
vm.on("progress", ({ loaded, total }) => loaded / total);
vm.on("state", (state) => state === "off");
const kind: string = new LoadError("x").message + result.stdout;
const text: string | undefined = document.querySelector("vivarium-machine")?.text;
export { kind, text };
"""
WRONG = [("vm.on('colour', () => {});", "TS2345"), ("await vm.exec(5);", "TS2345"), ("new Vivarium();", "TS2673"), ("vm.state = 'off';", "TS2540")]


class Types(unittest.TestCase):
    def check(self, text: str) -> str:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copytree(SITE / "vivarium", folder / "node_modules" / "vivarium")
            (folder / "program.mts").write_text(text)
            done = subprocess.run(["node", str(self.typescript / "lib" / "tsc.js"), "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "false",
                                   "--moduleDetection", "force", "--lib", "es2022,dom", "program.mts"],
                                  cwd=folder, capture_output=True, text=True, check=False)
            return done.stdout

    @classmethod
    def setUpClass(cls):
        try:
            cls.typescript = npm_packages.folder_with(["typescript"]) / "typescript"
        except npm_packages.cache.UserError as error:
            raise unittest.SkipTest(str(error)) from error

    def test_right_use_passes_and_wrong_use_does_not(self):
        self.assertEqual(self.check(RIGHT), "")
        found = self.check("import { Vivarium } from 'vivarium';\ndeclare const vm: Vivarium;\n" + "\n".join(line for line, _ in WRONG) + "\nexport {};\n")
        for number, (_, code) in enumerate(WRONG, 3):
            self.assertRegex(found, rf"program.mts\({number},\d+\): error {code}:")


if __name__ == "__main__":
    unittest.main(verbosity=2)
