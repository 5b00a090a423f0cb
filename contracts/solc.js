#!/usr/bin/env node
// The compiler as the program py-solc-x expects: `solc --version` and `solc --standard-json` over standard input.
// The wasm module is called directly, because solcjs prints a line of its own before the JSON.
"use strict";
const solc = require("solc");

const args = process.argv.slice(2);
if (args.includes("--version")) {
  const version = solc.version().replace(".clang", "");
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (args.includes("--standard-json")) {
  const chunks = [];
  process.stdin.on("data", (chunk) => chunks.push(chunk));
  process.stdin.on("end", () => {
    process.stdout.write(solc.compile(Buffer.concat(chunks).toString("utf8")));
  });
} else {
  process.stderr.write("solc.js: only --version and --standard-json\n");
  process.exitCode = 2;
}
