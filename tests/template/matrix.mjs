// matrix.mjs: renders a file of cases with @huggingface/jinja: node matrix.mjs PACKAGE_FOLDER CASES
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2);
const main = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")).module ?? "dist/index.js";
const { Template } = await import(pathToFileURL(`${folder}/${main}`).href);
const compiled = new Map();
const results = JSON.parse(readFileSync(file, "utf8")).cases.map(({ template, context }) => {
  try {
    if (!compiled.has(template)) compiled.set(template, new Template(template));
    return { text: compiled.get(template).render(context) };
  } catch (e) {
    return { error: String(e) };
  }
});
process.stdout.write(JSON.stringify(results));
