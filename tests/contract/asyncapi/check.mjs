// Reads an AsyncAPI document from standard input and prints what is wrong with it, as JSON.
import { text } from "node:stream/consumers";
import { Parser } from "@asyncapi/parser";

const ERROR_OR_WARNING = 1;
const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
const problems = diagnostics
  .filter(({ severity }) => severity <= ERROR_OR_WARNING)
  .map(({ code, message, path }) => `${path.join("/")}: ${code}: ${message}`);
const operations = document ? document.allOperations().all().map((one) => one.id()) : [];
process.stdout.write(JSON.stringify({ problems, operations }));
