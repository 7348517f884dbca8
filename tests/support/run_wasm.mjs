// Runs one WASI program under Node.js; see run_wasm.py, which calls it.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { WASI } from "node:wasi";

// needed before V8 11.4, ignored after it
setFlagsFromString("--experimental-wasm-relaxed-simd");
const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const preopens = { [root]: root };
if (process.env.TMPDIR) {
  preopens[process.env.TMPDIR] = process.env.TMPDIR;
}
const wasi = new WASI({
  version: "preview1",
  args: process.argv.slice(2),
  env: process.env,
  preopens,
  returnOnExit: true,
});
const module = await WebAssembly.compile(readFileSync(process.argv[2]));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exit(wasi.start(instance));
