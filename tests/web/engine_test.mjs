// The engine's module under Node: boots, repeats itself exactly, agrees with the native program, and says what is wrong.
// Run by ./dev web test, which sets VIV_WEB_SITE, VIV_GUEST (the folder of linux-riscv64) and VIV (the native program).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";

const { VIV_WEB_SITE: site, VIV_GUEST: guest, VIV: viv } = process.env;
const { default: factory } = await import(pathToFileURL(join(site, "vivarium", "vivarium.mjs")));
const { loadEngine } = await import(pathToFileURL(join(site, "vivarium", "engine.mjs")));
const { Slices } = await import(pathToFileURL(join(site, "vivarium", "slices.mjs")));

const description = { memory: 512 << 20, append: "console=ttyS0 quiet", kernel: "kernel", initrd: "initrd" };

async function machineWith(more) {
  const machine = (await loadEngine(factory)).createMachine();
  for (const file of ["kernel", "initrd"]) await machine.addFile(file, readFileSync(join(guest, file)));
  machine.start({ ...description, ...more });
  return machine;
}

test("boots to a shell, which does what is typed and powers off", { timeout: 600_000 }, async () => {
  const machine = await machineWith({});
  const decoder = new TextDecoder();
  let seen = "";
  let typed = "";
  await new Promise((resolve, reject) => {
    const slices = new Slices(machine, (ended) => {
      seen += decoder.decode(machine.takeOutput(), { stream: true });
      if (!typed && seen.endsWith("\x1b[6n")) machine.type((typed = "uname -m; cat /proc/cpuinfo; exit\n"));
      if (ended) resolve();
      if (seen.length > 1e6) reject(new Error("the guest prints for ever"));
      slices.wake();
    });
    slices.start();
  });
  assert.match(seen, /riscv64\r\n/);
  assert.match(seen, /isa\s+: rv64ima/);
  assert.equal(machine.exitCode, 0);
  machine.free();
});

test("a deterministic machine has the state that it has natively, however it is sliced", { timeout: 600_000 }, async () => {
  const end = 150_000_000;
  const printed = execFileSync(viv, ["run", "--kernel", join(guest, "kernel"), "--initrd", join(guest, "initrd"), "--append",
    description.append, "--memory", "512M", "--deterministic", "--seed", "7", "--serial", "null", "--max-instructions", `${end}`,
    "--print-hash"], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const native = /state ([0-9a-f]{32}) after (\d+) instructions/.exec(printed);
  for (const [milliseconds, jit] of [[7, "off"], [1000, "off"], [100, "quick"], [100, "full"]]) {
    const machine = await machineWith({ deterministic: true, seed: 7, jit });
    while (machine.instructions < end) machine.run(milliseconds, end);
    assert.equal(machine.instructions, end);
    assert.equal(machine.hash(), native[1], `jit ${jit}`);
    machine.free();
  }
});

test("answers QMP", async () => {
  const machine = await machineWith({ name: "a guest" });
  assert.match(machine.takeEvents(), /"QMP"/);
  machine.qmp('{"execute":"qmp_capabilities"}\n');
  assert.match(machine.qmp('{"execute":"query-status"}\n'), /"status":\s*"running"/);
  assert.match(machine.qmp('{"execute":"nonesuch"}\n'), /CommandNotFound/);
  machine.free();
});

test("a wrong description is one line that names the field", async () => {
  const engine = await loadEngine(factory);
  for (const [wrong, message] of [
    [{ memory: -1 }, /^memory: must be a whole number/],
    [{ memory: (1 << 20) + 1 }, /^memory: must be a multiple of 4096$/],
    [{ board: "riscv-vird" }, /riscv-virt/],
    [{ cpus: 9 }, /^cpus: riscv-virt has at most 8$/],
    [{ kernel: "kernel" }, /^kernel: there is no file called 'kernel'$/],
    [{ jit: "best" }, /^jit: must be "off", "quick" or "full"$/],
    [{ jitCache: 70_000 }, /^jitCache: must be a multiple of 4096$/],
    [{ ports: "agent" }, /^ports: must be a list of at most 30 names$/],
    [{ ports: [""] }, /^ports: must be a list/],
    [{ disks: {} }, /^disks: must be a list of at most 16$/],
    [{ disks: [{ url: "x" }] }, /^disks: source: is missing$/],
    [{ disks: [{ source: 1, size: 3 }] }, /^disks: size: is nothing to be said of a disk$/],
    [{ colour: 1 }, /^colour: is no field of a machine's description$/],
    [[], /no JSON object/],
  ]) {
    const machine = engine.createMachine();
    assert.throws(() => machine.start(wrong), ({ message: text }) => message.test(text) && !text.includes("\n"));
    machine.free();
  }
});

test("a file that is not as long as was said is refused", async () => {
  const machine = (await loadEngine(factory)).createMachine();
  await assert.rejects(machine.addFile("kernel", [new Uint8Array(3)], 4), /^LoadError: kernel: has 3 bytes instead of 4$/);
  await assert.rejects(machine.addFile("kernel", [new Uint8Array(3)], 2), /is longer than the 2 bytes/);
  await assert.rejects(machine.addFile("kernel", [], 0), /^LoadError: kernel: is empty$/);
  await assert.rejects(machine.addFile("kernel", [], 2 ** 33), /there is no memory/);
  machine.free();
});
