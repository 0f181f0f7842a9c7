// Random code by the WebAssembly backend against the interpreter and the oracle, as tests/lockstep does it natively.
// VIV_TRANSLATED_INSTRUCTIONS sets how many instructions each kind runs, VIV_TRANSLATED_SEED from where.
// Each kind has a process of its own: V8 keeps a module, and for each a copy of the table's entries, as long as the table.
// Run by ./dev web test, which sets VIV_WEB_TESTS to the folder of the tests' modules.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const { VIV_WEB_TESTS: folder, VIV_TRANSLATED_INSTRUCTIONS: instructions = "20000", VIV_TRANSLATED_SEED: seed = "1" } = process.env;
const { default: factory } = await import(pathToFileURL(join(folder, "random_code.mjs")));
const module = await factory();

function text(place) {
  const bytes = module.HEAPU8;
  let end = place >>> 0;
  while (bytes[end] !== 0) end++;
  return new TextDecoder().decode(bytes.slice(place >>> 0, end));
}

const [, , only] = process.argv;
if (only !== undefined) {
  const same = module._random_run(Number(only), Number(seed) * 64 + Number(only), Number(instructions));
  console.log(JSON.stringify({ same, told: text(module._random_text()), entries: module._random_entries(), regions: module._random_regions() }));
} else {
  for (let kind = 0; kind < module._random_kinds(); kind++) {
    const name = text(module._random_name(kind));
    test(name, () => {
      const ran = spawnSync(process.execPath, [fileURLToPath(import.meta.url), String(kind)], { encoding: "utf8", timeout: 300_000 });
      assert.equal(ran.status, 0, `${ran.signal ?? ""} ${ran.stderr.slice(-500)}`);
      const { same, told, entries, regions } = JSON.parse(ran.stdout);
      assert.ok(same, told);
      if (process.env.VIV_TRANSLATED_INSTRUCTIONS) console.log(`${name}: ${told}`);
      assert.ok(entries > 100, `hardly anything was translated: ${told}`);
      if (!name.startsWith("quick")) assert.ok(regions > 20, `hardly any regions: ${told}`);
    });
  }
}
