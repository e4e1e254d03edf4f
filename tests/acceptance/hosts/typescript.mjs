// Drives checkback with one of the two TypeScript SDKs: 1.x checks every structured answer against its output schema.
// Arguments: 1 or 2, the folder with node_modules, then the command of the server. Prints the shown answers as JSON.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { drive } from "./typescript_steps.mjs";

const [version, folder, command, ...args] = process.argv.slice(2);
const names = {
  1: ["@modelcontextprotocol/sdk/client/index.js", "@modelcontextprotocol/sdk/client/stdio.js"],
  2: ["@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio"],
}[version];
const require = createRequire(join(folder, "package.json"));
const [{ Client }, { StdioClientTransport }] = await Promise.all(
  names.map((name) => import(pathToFileURL(require.resolve(name)).href)),
);

const client = new Client({ name: `typescript-sdk-${version}`, version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" }));
await drive(client, (name, args) => client.callTool({ name, arguments: args }));
await client.close();
