// A request as a curl command and as Python: its body, the affinity of its conversation and whether
// it has a key, which is an environment variable and never a literal.

import { AFFINITY_HEADER } from "./affinity.js";

const SHOWN = 40;

/** Return the body with shortened data URLs, for display. */
export function shortened(body) {
  return JSON.parse(JSON.stringify(body, (name, value) => {
    const long = name === "url" && value.startsWith("data:") && value.length > 3 * SHOWN;
    return long ? `${value.slice(0, SHOWN)}… (${value.length} characters)` : value;
  }));
}

/** Build a command for any POSIX shell. The body is stdin, since arguments have a limit. */
export function curl({ body, affinity, hasKey }, url) {
  const key = hasKey ? ` \\\n  -H "Authorization: Bearer $LLAVA_API_KEY"` : "";
  const json = JSON.stringify(body, null, 2);
  return `curl -sN ${url} \\\n  -H 'Content-Type: application/json' \\\n`
    + `  -H '${AFFINITY_HEADER}: ${affinity}'${key} \\\n`
    + `  --data-binary @- <<'REQUEST'\n${json}\nREQUEST\n`;
}

/** Build a program that uses OpenAI's client. */
export function python({ body, affinity }, baseUrl) {
  const fields = Object.entries(body).map(([name, value]) => `    ${name}=${literal(value, 4)},`);
  return `import os

from openai import OpenAI

client = OpenAI(
    base_url="${baseUrl}",
    api_key=os.environ.get("LLAVA_API_KEY", "none"),
)
stream = client.chat.completions.create(
${fields.join("\n")}
    extra_headers={"${AFFINITY_HEADER}": "${affinity}"},
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    if chunk.usage:
        print(f"\\n{chunk.usage.total_tokens} tokens")
`;
}

/** Format a JSON value as a Python literal; JSON strings are valid in Python. */
function literal(value, indent) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const pad = " ".repeat(indent);
  const items = Array.isArray(value)
    ? value.map((item) => literal(item, indent + 4))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${literal(item, indent + 4)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${items.map((item) => `${pad}    ${item},\n`).join("")}${pad}${close}`;
}
