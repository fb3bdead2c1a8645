// Judges outputs with ajv (draft 2020-12). usage: node ajv.cjs NODE_MODULES OUTPUTS.json
const path = require('path'), fs = require('fs');
const load = name => require(path.resolve(process.argv[2], name));
const Ajv = load('ajv/dist/2020').default, Ajv07 = load('ajv').default, formats = load('ajv-formats').default;
const options = {strict: false, allErrors: false, multipleOfPrecision: 9};
const make = A => { const a = new A(options); formats(a); a.addFormat('int32', true); return a; };
const cache = new Map();
function validator(schema) {
  const key = JSON.stringify(schema);
  if (!cache.has(key)) {
    // A list of items is how drafts before 2020-12 say prefixItems.
    const old = /"items":\[/.test(key);
    cache.set(key, make(old ? Ajv07 : Ajv).compile(schema));
  }
  return cache.get(key);
}
let bad = 0, n = 0;
for (const {schema, text} of JSON.parse(fs.readFileSync(process.argv[3], 'utf8'))) {
  const s = schema === true ? {} : {...schema};
  delete s.$schema;
  const check = validator(s);
  n++;
  let ok = false;
  try { ok = check(JSON.parse(text)); } catch (e) { console.log(String(e)); }
  if (!ok) { bad++; console.log(`schema ${JSON.stringify(s)}: ajv refuses ${text}: ${JSON.stringify(check.errors)}`); }
}
console.log(`${n} outputs judged by ajv, ${cache.size} schemas, ${bad} refused`);
process.exit(bad || n < 1200 || cache.size < 200 ? 1 : 0);
