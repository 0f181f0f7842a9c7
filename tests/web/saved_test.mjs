// Saved machines under Node: from the native program and back, at the same instruction with the same state; published ones
// by their chunks; and what is cut or altered is refused. Run by ./dev web test, as engine_test.mjs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { pathToFileURL } from "node:url";

const { VIV_WEB_SITE: site, VIV_GUEST: guest, VIV: viv } = process.env;
const { default: factory } = await import(pathToFileURL(join(site, "vivarium", "vivarium.mjs")));
const { loadEngine } = await import(pathToFileURL(join(site, "vivarium", "engine.mjs")));
const { BytesSource, chunkPath, pack, unpack } = await import(pathToFileURL(join(site, "vivarium", "sources.mjs")));

const folder = mkdtempSync(join(tmpdir(), "vivarium-saved-"));
after(() => rmSync(folder, { recursive: true }));
const saveAt = 60_000_000;
const end = 90_000_000;
const append = "console=ttyS0 quiet";
const silent = ["--serial", "null"];

const native = (...words) => execFileSync(viv, words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const stateIn = (printed) => /state ([0-9a-f]{32}) after (\d+) instructions/.exec(printed).slice(1);
const boot = (...words) => native("run", "--kernel", join(guest, "kernel"), "--initrd", join(guest, "initrd"), "--append", append,
  "--memory", "512M", "--deterministic", "--seed", "7", ...silent, ...words);
const onward = (file) => stateIn(native("run", "--restore", file, ...silent, "--max-instructions", `${end}`, "--print-hash"))[0];

// What the machine is when nothing has interrupted it.
const saved = join(folder, "saved.viv");
boot("--max-instructions", `${saveAt}`, "--save-at-end", saved);
const [whole] = stateIn(boot("--max-instructions", `${end}`, "--print-hash"));

function runTo(machine, last) {
  while (machine.instructions < last) machine.run(100, last);
  assert.equal(machine.instructions, last);
}
// Saved while it goes on, by so many instructions each time that it is run.
async function savedBytes(machine, instructions) {
  let blob;
  machine.save().then((result) => (blob = result));
  while (!blob) {
    assert.ok(machine.run(10, machine.instructions + instructions) >= 0);
    await undefined;
  }
  return new Uint8Array(await blob.arrayBuffer());
}
async function opened(source, wishes) {
  const machine = (await loadEngine(factory)).createMachine();
  machine.look(source);
  machine.open(wishes);
  return machine;
}

test("a machine saved natively goes on here as it would have there", { timeout: 300_000 }, async () => {
  for (const jit of ["off", "full"]) {
    const machine = await opened(new BytesSource(readFileSync(saved)), { jit });
    assert.equal(machine.instructions, saveAt);
    runTo(machine, end);
    assert.equal(machine.hash(), whole, `jit ${jit}`);
    machine.free();
  }
});

test("a machine saved here goes on natively, and here", { timeout: 300_000 }, async () => {
  const machine = (await loadEngine(factory)).createMachine();
  for (const file of ["kernel", "initrd"]) await machine.addFile(file, readFileSync(join(guest, file)));
  machine.start({ memory: 512 << 20, append, kernel: "kernel", initrd: "initrd", deterministic: true, seed: 7 });
  runTo(machine, 40_000_000);
  const bytes = await savedBytes(machine, 100_000);
  const later = machine.instructions;
  assert.ok(later > 41_000_000 && later < end, `${later}`);
  await assert.rejects(Promise.all([machine.save(), machine.save()]), /^MachineError: the machine is being saved already$/);
  const mine = join(folder, "mine.viv");
  writeFileSync(mine, bytes);
  assert.equal(onward(mine), whole);
  // The saving has changed nothing of the machine that went on.
  runTo(machine, end);
  assert.equal(machine.hash(), whole);
  machine.free();

  const again = await opened(new BytesSource(bytes));
  assert.ok(again.instructions > 41_000_000 && again.instructions <= later);
  // What is opened can be saved before all of it has been brought.
  const second = await savedBytes(again, 0);
  again.free();
  writeFileSync(mine, second);
  assert.equal(onward(mine), whole);
});

test("a published machine asks for the chunks that it touches", { timeout: 300_000 }, async () => {
  const published = join(folder, "published");
  const report = native("publish", saved, published);
  const index = readFileSync(join(published, "machine.viv"));
  const all = /(\d+) chunks/.exec(report)[1];
  const asked = new Set();
  const machine = await opened(new BytesSource(index, {
    chunk(name, into) {
      asked.add(name);
      into.set(readFileSync(join(published, chunkPath(name))));
    },
  }));
  runTo(machine, saveAt + 1_000_000);
  assert.ok(asked.size > 5 && asked.size < all / 2, `${asked.size} of ${all}`);
  runTo(machine, end);
  assert.equal(machine.hash(), whole);
  machine.free();
});

test("a chunk that does not come, or is another, ends the machine with a line", { timeout: 300_000 }, async () => {
  const published = join(folder, "published");
  native("publish", saved, published);
  for (const [damage, said] of [
    [(bytes) => (bytes[bytes.length >> 1] ^= 4), /chunk [0-9a-f]{32} fails its check/],
    [() => { throw new Error("the server\nis gone"); }, /the server is gone/],
  ]) {
    let whole = true;
    const machine = await opened(new BytesSource(readFileSync(join(published, "machine.viv")), {
      chunk(name, into) {
        const bytes = readFileSync(join(published, chunkPath(name)));
        if (!whole) damage(bytes);
        into.set(bytes);
      },
    }));
    whole = false;
    const errors = console.error;
    console.error = () => {};
    try {
      while (machine.run(100) >= 0);
    } finally {
      console.error = errors;
    }
    assert.match(machine.problem, said);
    assert.ok(!machine.problem.includes("\n"));
    machine.free();
  }
});

test("a machine with a disk is refused with one line", { timeout: 300_000 }, async () => {
  const disk = join(folder, "disk.img");
  const file = join(folder, "disk.viv");
  writeFileSync(disk, new Uint8Array(1 << 20));
  boot("--disk", `file=${disk},format=raw`, "--max-instructions", "100000", "--save-at-end", file);
  await assert.rejects(opened(new BytesSource(readFileSync(file))),
    /^LoadError: the saved machine has a disk \(virtio-blk[a-z0-9.-]*\), which a page cannot give it$/);
});

test("packs hold chunks, and what cannot be one ends them", () => {
  const chunks = [{ name: "0f1e2d3c".repeat(4), bytes: Uint8Array.of(1, 2, 3) }, { name: "a1".repeat(16), bytes: new Uint8Array(0) }];
  const packed = pack(chunks);
  assert.deepEqual([...unpack(packed)], chunks);
  assert.deepEqual([...unpack(packed.subarray(0, packed.length - 1))], chunks.slice(0, 1));
  assert.deepEqual([...unpack(new TextEncoder().encode("<!doctype html><title>There is no such file</title>"))], []);
});

test("a file that is cut or altered is refused with one line", { timeout: 300_000 }, async () => {
  const engine = await loadEngine(factory);
  const good = readFileSync(saved);
  const refused = (bytes, said) => {
    const machine = engine.createMachine();
    assert.throws(() => {
      machine.look(new BytesSource(bytes));
      machine.open();
    }, ({ message }) => said.test(message) && !message.includes("\n"));
    machine.free();
  };
  for (const size of [0, 15, 16, 79, 1000, good.length >> 1, good.length - 1])
    refused(good.subarray(0, size), /this is not a saved machine|cut short/);
  // As many places as there are of each kind, and some in between.
  for (const at of [0, 8, 12, 16, 5000, good.length >> 1, good.length - 64, good.length - 40, good.length - 1]) {
    const bytes = Uint8Array.from(good);
    bytes[at] ^= 0x10;
    refused(bytes, /saved machine/);
  }
  const machine = engine.createMachine();
  machine.look(new BytesSource(good));
  assert.throws(() => machine.open({ memory: 1 }), /^LoadError: memory: is nothing to be wished of a saved machine$/);
  machine.free();
});
