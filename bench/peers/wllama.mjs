// Measures wllama inside node and prints one JSON document. Called by wllama.py.
//
//   node wllama.mjs PACKAGE-FOLDER FILE.gguf --prompt N --generate N --samples K
//
// wllama is made for browsers: it starts its engine in a Worker from a blob: address, and the engine
// fetches its module. Here a thread of node stands in for the Worker, and the module travels as a
// data: address; nothing of the package is changed. The time is that of decode() alone: loading,
// sampling and text are left out, the message to the thread and back (some 0.1 ms) is in it.

import { resolveObjectURL } from "node:buffer";
import { openAsBlob, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import vm from "node:vm";
import { Worker as Thread, isMainThread, parentPort } from "node:worker_threads";

const CONTEXT_TOKENS = 1024;
const SHORT_PROMPT_TOKENS = 32;

// The inside of the Worker. The engine's start code takes node for node unless its process has the
// type of a page; then it looks for the names that a browser's worker has.
function serveAsWorker() {
  const early = [];
  process.type = "renderer";
  Object.assign(globalThis, {
    self: globalThis,
    location: { href: "file:///" },
    WorkerGlobalScope: class {},
    importScripts() {
      throw new Error("importScripts is not there");
    },
    postMessage: (data, transfer) => parentPort.postMessage(data, transfer),
  });
  let started = false;
  parentPort.on("message", async (data) => {
    if (data.program) {
      vm.runInThisContext(await data.program.text(), { filename: "wllama-worker.js" });
      started = true;
      early.forEach((waiting) => globalThis.onmessage({ data: waiting }));
    } else if (started) {
      globalThis.onmessage({ data });
    } else {
      early.push(data);
    }
  });
}

// As much of a browser's Worker as wllama uses.
class BlobWorker {
  constructor(address) {
    this.thread = new Thread(new URL(import.meta.url));
    this.thread.on("message", (data) => this.onmessage?.({ data }));
    this.thread.on("error", (error) => fail(error));
    this.thread.postMessage({ program: resolveObjectURL(String(address)) });
  }

  postMessage(data, options) {
    this.thread.postMessage(data, options?.transfer);
  }

  terminate() {
    this.thread.terminate();
  }
}

function fail(error) {
  console.error(String(error?.stack ?? error).slice(0, 2000));
  process.exit(1);
}

// A fixed sequence of ordinary ids, the same as llama_cpp_driver.py's.
function tokensOf(count, vocabulary) {
  const ids = [];
  let state = 1n;
  for (let i = 0; i < count; i++) {
    state = (1103515245n * state + 12345n) % 2n ** 31n;
    ids.push(100 + Number(state % BigInt(vocabulary - 200)));
  }
  return ids;
}

async function load(folder, file, promptTokens) {
  const { Wllama } = await import(pathToFileURL(path.join(folder, "esm", "index.js")));
  const module = readFileSync(path.join(folder, "esm", "single-thread", "wllama.wasm"));
  const silent = { debug() {}, log() {}, warn() {}, error: console.error };
  const wllama = new Wllama(
    { "single-thread/wllama.wasm": `data:application/wasm;base64,${module.toString("base64")}` },
    { logger: silent, suppressNativeLog: true, cacheManager: {} },
  );
  await wllama.loadModel([await openAsBlob(file)], {
    n_threads: 1,
    n_ctx: CONTEXT_TOKENS,
    n_batch: Math.max(promptTokens, SHORT_PROMPT_TOKENS),
    cache_type_k: "f16",
    cache_type_v: "f16",
    flash_attn: true, // where the engine finds it of use
  });
  return wllama;
}

async function decodeMs(wllama, ids) {
  const start = performance.now();
  await wllama.decode(ids, {});
  return performance.now() - start;
}

async function promptRate(wllama, ids) {
  await wllama.kvClear();
  return (ids.length / (await decodeMs(wllama, ids))) * 1e3;
}

// A greedy answer; it goes on after an end of text, so that each holds the same number of tokens.
async function generationRate(wllama, ids, count) {
  await wllama.kvClear();
  await wllama.samplingInit({ temp: 0 });
  await wllama.decode(ids, {});
  let totalMs = 0;
  for (let i = 0; i < count; i++) {
    const { token } = await wllama.samplingSample();
    await wllama.samplingAccept([token]);
    totalMs += await decodeMs(wllama, [token]);
  }
  return (count / totalMs) * 1e3;
}

// The first run of each kind only warms up: V8 compiles what is hot a second time, and better.
async function measure() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      prompt: { type: "string", default: "512" },
      generate: { type: "string", default: "64" },
      samples: { type: "string", default: "3" },
    },
  });
  const [promptTokens, generate, samples] = [values.prompt, values.generate, values.samples].map(Number);
  const wllama = await load(positionals[0], positionals[1], promptTokens);
  const info = wllama.getLoadedContextInfo();
  const ids = tokensOf(Math.max(promptTokens, SHORT_PROMPT_TOKENS), info.n_vocab);
  const prompt = [];
  const generation = [];
  for (let i = 0; i <= samples; i++) {
    prompt.push(await promptRate(wllama, ids.slice(0, promptTokens)));
  }
  for (let i = 0; i <= samples; i++) {
    generation.push(await generationRate(wllama, ids.slice(0, SHORT_PROMPT_TOKENS), generate));
  }
  const document = {
    node: process.versions.node,
    v8: process.versions.v8,
    context: { tokens: info.n_ctx, batch: info.n_batch, inner_batch: info.n_ubatch },
    figures: {
      [`prompt_${promptTokens}_tokens_per_second`]: prompt.slice(1),
      generation_tokens_per_second: generation.slice(1),
    },
  };
  process.stdout.write(`${JSON.stringify(document)}\n`, () => process.exit(0));
}

if (isMainThread) {
  globalThis.Worker = BlobWorker;
  globalThis.document = { baseURI: "file:///" };
  if (!globalThis.navigator) {
    globalThis.navigator = { userAgent: "node", hardwareConcurrency: 1 };
  }
  process.on("unhandledRejection", fail);
  measure().catch(fail);
} else {
  serveAsWorker();
}
