// Makes TypeScript types from build/openapi.json. It fails if a type is unknown although the
// document could say what it is.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

// These types may be unknown. The data of a ForeignEvent is known only to the program that wrote
// it. APIDocument is a document of OpenAPI, and this API does not describe its parts. The body of a
// webhook is in the words of its provider.
const notKnown = new Set(["ForeignEvent", "APIDocument", '"receive-webhook"']);

const document = JSON.parse(await readFile("build/openapi.json", "utf8"));
const text = astToString(await openapiTS(document));
await writeFile("build/api.d.ts", text);

const file = ts.createSourceFile("api.d.ts", text, ts.ScriptTarget.Latest, true);
const vague = [];
const visit = (node) => {
  if (node.kind === ts.SyntaxKind.UnknownKeyword || node.kind === ts.SyntaxKind.AnyKeyword) {
    const names = [];
    for (let at = node; at; at = at.parent) {
      if (ts.isPropertySignature(at) || ts.isInterfaceDeclaration(at)) names.unshift(at.name.getText(file));
    }
    vague.push(names);
  }
  ts.forEachChild(node, visit);
};
visit(file);
// openapi-typescript gives each response a type of its headers, which allows unknown ones. So a
// member called headers is no fault.
const bad = vague.filter((names) => !names.some((name) => notKnown.has(name)) && names.at(-1) !== "headers");
if (vague.length === 0 || bad.length > 0) {
  console.error(`these types are unknown, although the document could say what they are:\n${bad.map((names) => "  " + names.join(".")).join("\n")}`);
  process.exit(1);
}
console.log(`api.d.ts: ${text.split("\n").length} lines`);
