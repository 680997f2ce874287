// Reads manifests of custom resources (a JSON list) from standard input, and prints for each what
// is wrong with it: what TypeScript's compiler says of it as a value of the operator's own types,
// and what the operator's own validator says, where the package brings one.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const KEDA = "@kubernetes-models/keda/keda.sh/v1alpha1";
const PROMETHEUS = "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

// The models of CloudNativePG are classes and enumerations; a manifest has plain values. What stands
// around an object store's configuration is written here after the plugin's definition: no package
// brings it; the configuration itself is the one of a cluster's built-in backup.
const PRELUDE = `
import type { ApiObjectMetadata } from "cdk8s";
import type * as pg from "@cdk8s-kit/crds/pg";
type Plain<T> =
  T extends string ? \`\${T}\`
  : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer Each)[] ? Plain<Each>[]
  : T extends { readonly value: number | string } ? (keyof T extends "value" ? number | string : { [K in keyof T]: Plain<T[K]> })
  : { [K in keyof T]: Plain<T[K]> };
interface ObjectStoreSpec {
  // The name of a server stands among the plugin's parameters of the cluster.
  configuration: Omit<pg.ClusterSpecBackupBarmanObjectStore, "serverName">;
  retentionPolicy?: \`\${number}\${"d" | "w" | "m"}\`;
  instanceSidecarConfiguration?: {
    additionalContainerArgs?: string[];
    env?: { name: string; value: string }[];
    resources?: pg.ClusterSpecResources;
    retentionPolicyIntervalSeconds?: number;
    logLevel?: "error" | "warning" | "info" | "debug" | "trace";
  };
}
type Named<Version, Kind> = { apiVersion: Version; kind: Kind };
`;

const KINDS = {
  "keda.sh/v1alpha1/ScaledObject": { from: KEDA },
  "monitoring.coreos.com/v1/ServiceMonitor": { from: PROMETHEUS },
  "monitoring.coreos.com/v1/PodMonitor": { from: PROMETHEUS },
  "monitoring.coreos.com/v1/PrometheusRule": { from: PROMETHEUS },
  "postgresql.cnpg.io/v1/Cluster": { plain: "pg.ClusterProps" },
  "postgresql.cnpg.io/v1/ScheduledBackup": { plain: "pg.ScheduledBackupProps" },
  "barmancloud.cnpg.io/v1/ObjectStore": { plain: "{ metadata?: ApiObjectMetadata; spec: ObjectStoreSpec }" },
};

// Where a model calls a field otherwise than its schema does (isWALArchiver, isWalArchiver), its
// comment names the schema's.
function renamed() {
  const path = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "..");
  const models = readFileSync(join(path, "@cdk8s-kit/crds/dist/postgresql.cnpg.io.d.ts"), "utf8");
  const found = new Map();
  for (const [, field, property] of models.matchAll(/@schema \w+#(\w+)\s+\*\/\s+readonly (\w+)\??:/g)) {
    if (field !== property) found.set(field, property);
  }
  return found;
}

function asModelled(value, names) {
  if (Array.isArray(value)) return value.map((each) => asModelled(each, names));
  if (value === null || typeof value !== "object") return value;
  const called = (key) => names.get(key) ?? ([...names.values()].includes(key) ? `${key} is no field` : key);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [called(key), asModelled(each, names)]));
}

function source(manifest, names) {
  const { apiVersion, kind } = manifest;
  const known = KINDS[`${apiVersion}/${kind}`];
  if (known === undefined) return undefined;
  if (known.from) {
    return `import type { I${kind} } from "${known.from}";\nexport const it: I${kind} = ${JSON.stringify(manifest)};\n`;
  }
  const named = `Named<"${apiVersion}", "${kind}">`;
  return `${PRELUDE}export const it: Plain<${known.plain}> & ${named} = ${JSON.stringify(asModelled(manifest, names))};\n`;
}

function compiled(sources) {
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const [reads, exists, makes] = [host.readFile, host.fileExists, host.getSourceFile];
  host.fileExists = (path) => sources.has(path) || exists(path);
  host.readFile = (path) => sources.get(path) ?? reads(path);
  host.getSourceFile = (path, ...more) =>
    sources.has(path) ? ts.createSourceFile(path, sources.get(path), ...more) : makes(path, ...more);
  const program = ts.createProgram([...sources.keys()], options, host);
  const found = new Map([...sources.keys()].map((path) => [path, []]));
  for (const each of ts.getPreEmitDiagnostics(program)) {
    const said = ts.flattenDiagnosticMessageText(each.messageText, " ");
    if (!found.has(each.file?.fileName)) throw new Error(`${each.file?.fileName}: ${said}`);
    found.get(each.file.fileName).push(said);
  }
  return found;
}

async function validated(manifest) {
  const known = KINDS[`${manifest.apiVersion}/${manifest.kind}`];
  if (!known?.from) return [];
  const models = await import(known.from);
  try {
    new models[manifest.kind](manifest).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

const manifests = JSON.parse(await text(process.stdin));
const names = renamed();
const sources = new Map();
manifests.forEach((manifest, at) => {
  const written = source(manifest, names);
  if (written !== undefined) sources.set(join(here, `manifest-${at}.ts`), written);
});
const found = compiled(sources);
const answers = [];
for (const [at, manifest] of manifests.entries()) {
  const said = found.get(join(here, `manifest-${at}.ts`));
  answers.push(said === undefined ? ["no schema of this kind is here"] : [...said, ...(await validated(manifest))]);
}
process.stdout.write(JSON.stringify(answers));
