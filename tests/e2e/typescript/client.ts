// A client of the API as somebody else's program would be, made from the description alone.
// It prints what it found, as JSON; the compiler is asked whether every call is written rightly.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Deployment = components["schemas"]["DeploymentOut"];

const [, , url, token] = process.argv;
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

const me = await api.GET("/api/me");
if (!me.data) throw new Error(me.error.code);

const modules = await api.GET("/api/modules", { params: { query: { source: "admin", limit: 1 } } });
if (!modules.data) throw new Error(modules.error.code);
const [card] = modules.data.items;

const quote = await api.POST("/api/quotes", { body: { module_id: card.id } });
if (!quote.data) throw new Error(quote.error.code);

const cost: number = quote.data.cost;
const refusal: string | null = quote.data.refusal;

const missing = await api.GET("/api/deployments/{deployment_id}", {
  params: { path: { deployment_id: "nobodys" } },
});
const found: Deployment | undefined = missing.data;
const code: string | undefined = missing.error?.code;

console.log(JSON.stringify({ email: me.data.email, module: card.name, cost, refusal, found, code }));
