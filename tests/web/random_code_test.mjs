// Random code by the WebAssembly backend against the interpreter and the oracle, as tests/lockstep does it natively.
// VIV_TRANSLATED_INSTRUCTIONS sets how many instructions each kind runs, VIV_TRANSLATED_SEED from where.
// Run by ./dev web test, which sets VIV_WEB_TESTS to the folder of the tests' modules.
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";

const { VIV_WEB_TESTS: folder, VIV_TRANSLATED_INSTRUCTIONS: instructions = "20000", VIV_TRANSLATED_SEED: seed = "1" } = process.env;
const { default: factory } = await import(pathToFileURL(join(folder, "random_code.mjs")));
const module = await factory();

function text(place) {
  const bytes = module.HEAPU8;
  let end = place >>> 0;
  while (bytes[end] !== 0) end++;
  return new TextDecoder().decode(bytes.slice(place >>> 0, end));
}

for (let kind = 0; kind < module._random_kinds(); kind++) {
  const name = text(module._random_name(kind));
  test(name, { timeout: 300_000 }, () => {
    const same = module._random_run(kind, Number(seed) * 64 + kind, Number(instructions));
    const told = text(module._random_text());
    assert.ok(same, told);
    if (process.env.VIV_TRANSLATED_INSTRUCTIONS) console.log(`${name}: ${told}`);
    assert.ok(module._random_entries() > 100, `hardly anything was translated: ${told}`);
    if (!name.startsWith("quick")) assert.ok(module._random_regions() > 20, `hardly any regions: ${told}`);
  });
}
