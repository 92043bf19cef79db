// Sends HTTP requests to the server in the first argument. Reads a JSON list of { method, path, type, body } from
// standard input and writes a JSON list of { status, body } to standard output.
import { text } from 'node:stream/consumers';

const answers = [];
for (const { method, path, type, body } of JSON.parse(await text(process.stdin))) {
  const response = await fetch(process.argv[2] + path, {
    method,
    headers: { 'content-type': type ?? 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  answers.push({ status: response.status, body: await response.json().catch(() => undefined) });
}
process.stdout.write(JSON.stringify(answers));
