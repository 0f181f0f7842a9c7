// The package under Node: machines are started, talked to, paused, saved, opened and stopped by its API. Run as engine_test.mjs.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { pathToFileURL } from "node:url";

const { VIV_WEB_SITE: site, VIV_GUEST: guest } = process.env;
const { Vivarium, AgentError, LoadError, MachineError, OutOfMemoryError } = await import(pathToFileURL(join(site, "vivarium", "index.mjs")));

const url = (file) => pathToFileURL(join(guest, file)).href;
const machine = { kernel: url("kernel"), initrd: url("initrd"), append: "console=ttyS0 quiet", memory: 512 << 20, jit: "full" };
const oneLine = (Kind, said) => (error) => error instanceof Kind && error.name === Kind.name && said.test(error.message) && !error.message.includes("\n");
const folder = mkdtempSync(join(tmpdir(), "vivarium-api-"));
let saved; // a machine at its prompt
const started = [];
async function start(options) {
  const vm = await Vivarium.start(options);
  started.push(vm);
  return vm;
}
after(() => {
  for (const vm of started) vm.stop(); // a test that fails leaves none behind
  rmSync(folder, { recursive: true });
});

// Resolves when the machine's console has shown the text.
function shown(vm, text) {
  const decoder = new TextDecoder();
  let seen = "";
  return new Promise((done) => {
    const off = vm.on("serial", (bytes) => {
      seen += decoder.decode(bytes, { stream: true });
      if (!seen.includes(text)) return;
      off();
      done(seen);
    });
  });
}
const becomes = (vm, state) => new Promise((done) => {
  const off = vm.on("state", (now) => {
    if (now !== state) return;
    off();
    done();
  });
});

test("a machine's programs, files, saving and opening", { timeout: 600_000 }, async () => {
  const states = [];
  const vm = await start({ ...machine, files: { "/tmp/in/given": "by the page" }, onState: (state) => states.push(state) });
  assert.deepEqual(states, ["running"]);
  assert.deepEqual(await vm.exec("uname -m; echo wrong >&2; exit 3"), { stdout: "riscv64\n", stderr: "wrong\n", code: 3 });
  assert.equal((await vm.readFile("/tmp/in/given")).length, 11);
  assert.deepEqual(await vm.exec(["cat", "/tmp/in/given"]), { stdout: "by the page", stderr: "", code: 0 });
  assert.equal((await vm.exec("kill -9 $$")).code, 137);
  assert.equal((await vm.exec(["nonesuch"])).code, 127);
  assert.equal((await vm.exec("cat; echo $COLOUR; pwd", { stdin: "fed ", env: { COLOUR: "blue" }, cwd: "/tmp" })).stdout, "fed blue\n/tmp\n");

  // More than the credit of a channel, both ways, and as many programs at once as one likes.
  const large = new Uint8Array(3_000_000).map((_, i) => (i * 7) ^ (i >> 8));
  await vm.writeFile("/tmp/large", large, { mode: 0o600 });
  assert.equal((await vm.exec("stat -c %a:%s /tmp/large")).stdout, "600:3000000\n");
  assert.deepEqual(await vm.readFile("/tmp/large"), large);
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => vm.exec(`echo ${i}`)));
  assert.deepEqual(all.map(({ stdout }) => +stdout), Array.from({ length: 40 }, (_, i) => i));
  let counted = 0;
  const { stdout } = await vm.exec("cat /tmp/large", { onStdout: (bytes) => (counted += bytes.length) });
  assert.deepEqual([counted, stdout], [3_000_000, ""]);

  await assert.rejects(vm.readFile("/nonesuch"), oneLine(AgentError, /^\/nonesuch: No such file/));
  await assert.rejects(vm.readFile("/tmp"), oneLine(AgentError, /^\/tmp: is a folder, not a file$/));
  await assert.rejects(vm.writeFile("/proc/none", "x"), oneLine(AgentError, /^\/proc\/none/));
  await assert.rejects(vm.exec("yes", { onStdout: () => { throw new RangeError("enough"); } }), { name: "RangeError" });
  const control = new AbortController();
  await assert.rejects(vm.exec("echo up; sleep 1000", { signal: control.signal, onStdout: () => control.abort() }), { name: "AbortError" });
  assert.equal((await vm.exec("echo still")).stdout, "still\n");

  vm.pause();
  assert.equal(vm.state, "paused");
  const later = vm.exec("echo later");
  vm.resume();
  assert.equal((await later).stdout, "later\n");

  const blob = (saved = await vm.save());
  await vm.exec("rm /tmp/in/given");
  await vm.restore(blob);
  assert.equal((await vm.exec("cat /tmp/in/given")).stdout, "by the page");
  const echoed = shown(vm, "answer 42");
  vm.serial.write("echo answer $((6 * 7))\n");
  await echoed;
  const file = join(folder, "machine.viv");
  writeFileSync(file, new Uint8Array(await blob.arrayBuffer()));
  const second = await start({ restore: pathToFileURL(file).href });
  assert.equal((await second.exec("cat /tmp/in/given")).stdout, "by the page");

  // Two at once are two.
  await second.exec("echo changed > /tmp/in/given");
  assert.equal((await vm.exec("cat /tmp/in/given")).stdout, "by the page");
  const pending = second.exec("sleep 1000");
  second.stop();
  await assert.rejects(pending, oneLine(AgentError, /^the machine has been stopped$/));
  assert.equal(second.state, "off");
  await assert.rejects(second.exec("true"), oneLine(AgentError, /^the machine is off$/));
  assert.throws(() => second.serial.write("x"), oneLine(MachineError, /^the machine is off$/));

  const off = becomes(vm, "off");
  vm.serial.write("exit\n");
  await off;
  assert.equal(vm.exitCode, 0);
});

test("a reset is a new start, and its agent answers again", { timeout: 600_000 }, async () => {
  const vm = await start({ restore: saved, jit: "full" });
  await vm.exec("touch /tmp/before");
  const pending = vm.exec("sleep 1000");
  vm.reset();
  await assert.rejects(pending, oneLine(AgentError, /^the guest's agent has ended$/));
  assert.equal((await vm.exec("ls /tmp/before")).code, 1);
  vm.stop();
});

test("what cannot be started says why, in one line", { timeout: 60_000 }, async () => {
  const refused = (options, Kind, said) => assert.rejects(start(options), oneLine(Kind, said));
  await refused({ ...machine, kernel: url("nonesuch") }, LoadError, /^kernel: file:.*nonesuch cannot be read: ENOENT$/);
  await refused({ ...machine, memory: 5 }, MachineError, /^memory: must be a whole number/);
  await refused({ ...machine, memory: 4294963200 }, OutOfMemoryError, /^cannot allocate 4095 MiB of guest memory/);
  await refused({ ...machine, kernel: new Uint8Array(0) }, LoadError, /^kernel: is empty$/);
  await refused({ guest: "nonesuch", guests: pathToFileURL(`${folder}/`) }, LoadError, /^nonesuch: file:.*guest.json cannot be read/);
  await refused({ restore: new Blob(["this is none"]) }, LoadError, /not a saved machine/);
  await refused({ ...machine, agent: "" , files: { "/tmp/x": "y" } }, AgentError, /^the guest has no agent$/);
  await assert.rejects(Vivarium.start({ ...machine, signal: AbortSignal.abort() }), { name: "AbortError" });
  const control = new AbortController();
  const starting = Vivarium.start({ ...machine, signal: control.signal });
  control.abort();
  await assert.rejects(starting, { name: "AbortError" });
});
